package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// standalones are all options of Passenger Standalone, up to 6.0.23.
const standalones = `
	address admin-panel-auth-type admin-panel-password admin-panel-url admin-panel-username anonymous-telemetry-proxy
	app-file-descriptor-ulimit app-start-command app-support-kuria-protocol app-type auto binaries-url-root
	concurrency-model core-file-descriptor-ulimit ctls custom-error-page daemonize data-buffer-dir debug-nginx-config
	debugger defer-port-binding direct-instance-request-address disable-anonymous-telemetry disable-log-prefix
	disable-security-update-check disable-turbocaching engine environment envvar
	force-max-concurrent-requests-per-process friendly-error-pages hard-memory-limit instance-registry-dir
	load-shell-envvars log-file log-level max-pool-size max-preloader-idle-time max-request-queue-size
	max-request-time max-requests memory-limit meteor-app-settings min-instances nginx-bin nginx-config-template
	nginx-tarball nginx-version no-abort-websockets-on-process-shutdown no-compile-runtime no-friendly-error-pages
	no-install-runtime nodejs pid-file pool-idle-time port preload-bundler python rackup resist-deployment-errors
	restart-dir rolling-restarts ruby runtime-check-only security-update-check-proxy socket socket-backlog
	spawn-method ssl ssl-certificate ssl-certificate-key ssl-port start-timeout startup-file static-files-dir
	sticky-sessions sticky-sessions-cookie-attributes sticky-sessions-cookie-name thread-count union-station-gateway
	union-station-gateway-cert union-station-key unlimited-concurrency-path user vary-turbocache-by-cookie
`

// Each of them is accepted, with or without a meaning.
func TestOptionsOfPassenger(t *testing.T) {
	flags := pflag.NewFlagSet("start", pflag.ContinueOnError)
	addStartFlags(flags)

	for name := range strings.FieldsSeq(standalones) {
		require.NotNil(t, flags.Lookup(name), "--%s is refused", name)
	}

	for flag, short := range map[string]string{
		"address": "a", "port": "p", "socket": "S", "daemonize": "d", "environment": "e", "rackup": "R",
	} {
		require.Equal(t, short, flags.Lookup(flag).Shorthand)
	}
}
