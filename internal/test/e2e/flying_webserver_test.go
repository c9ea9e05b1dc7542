package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/webservers"
)

// webServer is one in front of a flying server.
type webServer struct {
	*webservers.Server
	t testing.TB
}

// forEachFront runs a test with each kind before two applications, whose hosts are
// their names and ".test".
func forEachFront(t *testing.T, test func(t *testing.T, f *flying, w *webServer, tenants []*tenant)) {
	t.Helper()

	for _, kind := range webservers.Kinds() {
		t.Run(kind.File, func(t *testing.T) {
			t.Parallel()
			box := newFlyingSandbox(t)
			f := startFlying(t, box)
			tenants := []*tenant{box.goTenant(t, "go", daemonUID), box.pythonTenant(t, "python", binUID)}
			test(t, f, f.startWebServer(t, kind, tenants), tenants)
		})
	}
}

func (f *flying) startWebServer(t testing.TB, kind webservers.Kind, tenants []*tenant) *webServer {
	t.Helper()
	dir := filepath.Join(f.Dir, kind.File)
	require.NoError(t, os.Mkdir(dir, 0o755))

	return &webServer{t: t, Server: webservers.Start(t, kind, dir, func(addr string) string {
		var sites strings.Builder
		for i, a := range tenants {
			site := f.site(t, kind, addr, a)
			if i > 0 { // what is there once for all sites
				if _, rest, ok := strings.Cut(site, "map $http_upgrade"); ok {
					_, site, _ = strings.Cut(rest, "}\n")
				}
			}

			sites.WriteString(site)
		}

		return sites.String()
	})}
}

// site is the configuration for users, with more options.
func (f *flying) site(t testing.TB, kind webservers.Kind, addr string, a *tenant) string {
	t.Helper()
	text := kind.Configuration(t, filepath.Join("..", "..", "..", "docs"), addr, &webservers.Site{
		Name:     a.name + ".test",
		Root:     a.root,
		Public:   filepath.Join(a.root, "public"),
		Socket:   f.socket,
		Password: f.password(t),
	})
	options := map[string]string{"load_shell_envvars": "off"}
	maps.Copy(options, a.options)
	listed := "App-Root, App-Env"

	var params, headers strings.Builder
	for name, value := range options {
		header := strings.ReplaceAll(name, "_", "-")
		listed += ", " + header
		param := "PASSENGER_" + strings.ToUpper(name)
		if kind.Apache {
			fmt.Fprintf(&params, "SetEnv %s '%s'\n", param, value)
			fmt.Fprintf(&headers, "RequestHeader set X-Passenger-%s '%s'\n", header, value)
		} else {
			fmt.Fprintf(&params, "scgi_param %s '%s';\n", param, value)
			fmt.Fprintf(&headers, "proxy_set_header X-Passenger-%s '%s';\n", header, value)
		}
	}

	for _, line := range []struct{ of, more string }{
		{"SetEnv PASSENGER_APP_ENV production\n", params.String()},
		{"scgi_param PASSENGER_APP_ENV production;\n", params.String()},
		{"RequestHeader set X-Passenger-App-Env production\n", headers.String()},
		{"proxy_set_header X-Passenger-App-Env production;\n", headers.String()},
	} {
		text = strings.ReplaceAll(text, line.of, line.of+line.more)
	}

	return strings.ReplaceAll(text, `"App-Root, App-Env"`, `"`+listed+`"`)
}

// client asks an application by its host.
func (w *webServer) client(a *tenant) *client {
	transport := &http.Transport{
		DisableKeepAlives: true, DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", w.Addr)
		},
	}

	return &client{base: "http://" + a.name + ".test", Client: &http.Client{
		Transport: transport, Timeout: deadline,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// errStatus is a response of the web server's.
var errStatus = errors.New("the web server had an error")

func (w *webServer) pid(a *tenant) (int, error) {
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+a.name+".test/", nil)
	if err != nil {
		return 0, err
	}

	reply, err := w.client(a).do(r)
	if err != nil {
		return 0, err
	}

	if reply.StatusCode != http.StatusOK {
		return reply.StatusCode, fmt.Errorf("%w: %s: %s", errStatus, reply.Status, reply.body)
	}

	return readTenant(w.t, reply).PID, nil
}
