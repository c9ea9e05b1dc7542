package main

import (
	"fmt"
	"strings"

	"github.com/gopassenger/passenger/internal/options"
)

// foreignOptions are those that `passenger start` of Passenger has and that mean
// nothing here. They are accepted, so that a configuration need not be changed,
// and said to be.
var foreignOptions = foreign(map[string][]string{
	"the server has no nginx in it, but is one itself": {
		"engine", "nginx_bin", "nginx_version", "nginx_tarball", "nginx_config_template", "debug_nginx_config*",
	},
	"there is nothing to be installed or compiled": {
		"auto*", "binaries_url_root", "runtime_check_only*", "no_install_runtime*", "no_compile_runtime*",
	},
	"nothing is sent to anybody": {
		"union_station_gateway", "union_station_key", "union_station_gateway_cert", "disable_security_update_check*",
		"security_update_check_proxy", "disable_anonymous_telemetry*", "anonymous_telemetry_proxy",
		"admin_panel_url", "admin_panel_auth_type", "admin_panel_username", "admin_panel_password",
	},
	"the system's limits count, and are used up to the hard ones": {
		"socket_backlog",
		"core_file_descriptor_ulimit",
	},
	"processes serve several requests at once by thread_count":            {"concurrency_model"},
	"old processes always serve on when new ones do not start":            {"resist_deployment_errors*"},
	"the interpreters' own debuggers do that":                             {"debugger*"},
	"lines of the application have fields that tell where they come from": {"disable_log_prefix*"},
	"it is always so": {"preload_bundler*"},
	"the address is open at once, and requests wait for the application": {"defer_port_binding*"},
	"what a program with a start command speaks is found out":            {"app_support_kuria_protocol*"},
	"processes can only be asked directly on 127.0.0.1":                  {"direct_instance_request_address"},
})

// foreign makes options of keys by the reasons for which they mean nothing. A star
// marks a switch.
func foreign(byReason map[string][]string) (all []options.Option) {
	for why, keys := range byReason {
		for _, key := range keys {
			key, isSwitch := strings.CutSuffix(key, "*")
			all = append(all, options.Option{Key: key, Kind: options.Foreign, Bare: isSwitch, Help: why})
		}
	}

	return all
}

// ignore tells that an option was given that means nothing here.
func (l *loader) ignore(o *options.Option, where string) {
	l.warn(fmt.Sprintf("the option %s in %s is accepted, but means nothing here: %s", o.Key, where, o.Help))
}
