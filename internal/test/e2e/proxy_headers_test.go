package e2e_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/proxyheader"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/webservers"
)

// headerDump are applications that respond with what they see: the environment of Rack and
// WSGI, and the headers of Node.js.
var headerDump = map[string]struct{ language, file, code string }{
	"rack": {"ruby", "config.ru", `
require 'json'
run lambda { |env|
  [200, {'content-type' => 'application/json'}, [JSON.generate(env.select { |_, value| value.is_a?(String) })]]
}
`},
	"wsgi": {"python", "passenger_wsgi.py", `
import json

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({name: value for name, value in environ.items() if isinstance(value, str)}).encode()]
`},
	"node": {"node", "app.js", `
require('http').createServer((request, response) => {
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(request.headers));
}).listen(0);
`},
}

// dumpTenants are one of each.
func (s *sandbox) dumpTenants(t testing.TB) []*tenant {
	t.Helper()

	tenants := make([]*tenant, 0, len(headerDump))
	for name, dump := range headerDump {
		option := map[string]string{"ruby": "ruby", "python": "python", "node": "nodejs"}[dump.language]
		candidates := map[string][]string{
			"ruby": {"/usr/bin/ruby", "ruby"}, "python": {"/usr/bin/python3", "python3"},
			"node": {"/usr/bin/node", "node"},
		}[dump.language]
		tenants = append(tenants, &tenant{
			name:    name,
			root:    s.tenantDir(t, name, daemonUID, map[string]string{dump.file: dump.code}),
			options: map[string]string{option: interpreters.Find(t, dump.language, candidates...)},
		})
	}

	return tenants
}

// seen is what an application has seen, by names as CGI has them.
func seen(t testing.TB, w *webServer, a *tenant, header ...string) map[string]string {
	t.Helper()
	reply := w.client(a).get(t, "/", header...)
	require.Equal(t, http.StatusOK, reply.StatusCode, reply.body)
	var got map[string]string
	require.NoError(t, json.Unmarshal([]byte(reply.body), &got), reply.body)
	if a.name == "node" {
		named := map[string]string{}
		for name, value := range got {
			named["HTTP_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = value
		}

		got = named
	}

	return got
}

// A client sends all that applications believe of proxies through each web server as
// docs/webservers configures it. With every header named, and the client's own address
// a trusted proxy's, only these configurations are between it and the application.
func TestClientsSetNoHeaderOfAProxyBehindWebServers(t *testing.T) {
	t.Parallel()

	for name, trusts := range map[string]bool{"as documented": false, "all is trusted": true} {
		for _, kind := range webservers.Kinds() {
			t.Run(name+", "+kind.File, func(t *testing.T) {
				t.Parallel()
				box := newFlyingSandbox(t)
				var args []string
				if trusts {
					args = []string{"--trusted-proxy", "127.0.0.1"}
				}

				f := startFlying(t, box, args...)

				tenants := box.dumpTenants(t)
				for _, a := range tenants {
					if trusts {
						a.options["trusted_headers"] = strings.Join(proxyheader.Names(), " ")
					}
				}

				w := f.startWebServer(t, kind, tenants)
				for _, a := range tenants {
					requireNothingForged(t, w, a)
				}
			})
		}
	}
}

func requireNothingForged(t *testing.T, w *webServer, a *tenant) {
	t.Helper()

	names := append(proxyheader.Names(), proxyheader.Always()...)
	for len(names) > 0 { // no more than a handler takes
		n := min(len(names), 50)

		sent := make([]string, 0, 2*n)
		for _, name := range names[:n] {
			value := "evil"
			if name == "X-Forwarded-Proto" {
				value = "https"
			}

			sent = append(sent, name, value)
		}

		names = names[n:]

		got := seen(t, w, a, sent...)
		for name, value := range got {
			require.NotContains(t, value, "evil", "%s sees it in %s", a.name, name)
		}

		require.NotEqual(t, "https", got["HTTP_X_FORWARDED_PROTO"])
		require.Empty(t, got["HTTPS"])
		require.NotContains(t, got["HTTP_X_FORWARDED_FOR"], ",,")
		if a.name != "node" {
			require.Equal(t, "127.0.0.1", got["REMOTE_ADDR"])
		} else {
			require.True(t, strings.HasPrefix(got["HTTP_X_FORWARDED_FOR"], "127.0.0.1"), got)
		}
	}
}

// Each configuration says something of each header, at each place that passes requests on.
func TestConfigurationsOfWebServersNameEveryHeaderOfProxies(t *testing.T) {
	t.Parallel()

	for _, kind := range webservers.Kinds() {
		b, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "webservers", kind.File))
		require.NoError(t, err)

		text := strings.ToLower(string(b))
		for _, name := range append(proxyheader.Names(), proxyheader.Always()...) {
			lower := strings.ToLower(name)

			count := 0
			for _, form := range []string{
				"proxy_set_header " + lower + " ", "scgi_param http_" + strings.ReplaceAll(lower, "-", "_") + " ",
				"requestheader unset " + lower + "\n", "requestheader set " + lower + " ",
			} {
				count += strings.Count(text, form)
			}

			want := 1
			if kind.SCGI { // beside the place of WebSockets
				want = 2
			}

			require.Equal(t, want, count, "%s has %s", kind.File, name)
		}
	}
}

// What the web server's configuration sets, and the application's options name, arrives.
func TestNamedHeadersOfWebServersReachTheApplication(t *testing.T) {
	t.Parallel()

	for _, kind := range webservers.Kinds() {
		if kind.SCGI { // by SCGI the client's address counts
			continue
		}

		t.Run(kind.File, func(t *testing.T) {
			t.Parallel()
			box := newFlyingSandbox(t)
			f := startFlying(t, box)

			tenants := box.dumpTenants(t)
			for _, a := range tenants {
				a.options["trusted_headers"] = "X-Real-IP"
			}

			dir := filepath.Join(f.Dir, "web")
			require.NoError(t, os.Mkdir(dir, 0o755))
			a := tenants[0]
			w := &webServer{t: t, Server: webservers.Start(t, kind, dir, func(addr string) string {
				return strings.NewReplacer(
					`proxy_set_header X-Real-IP "";`, `proxy_set_header X-Real-IP $remote_addr;`,
					`RequestHeader unset X-Real-IP`, `RequestHeader set X-Real-IP expr=%{REMOTE_ADDR}`,
				).Replace(f.site(t, kind, addr, a))
			})}
			got := seen(t, w, a, "X-Real-IP", "evil", "X-Client-IP", "evil")
			require.Equal(t, "127.0.0.1", got["HTTP_X_REAL_IP"], maps.Keys(got))
			require.NotContains(t, got, "HTTP_X_CLIENT_IP")
		})
	}
}
