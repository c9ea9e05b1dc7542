package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/webservers"
)

// sendingApp names the file that its query does, by the header of its path.
const sendingApp = `
def application(environ, start_response):
    name = environ["PATH_INFO"][1:]
    fields = [("Content-Type", "text/x-mine"), ("Content-Length", "0"), (name, environ["QUERY_STRING"])]
    start_response("200 OK", fields)
    return [b""]
`

func (s *sandbox) sendingTenant(t testing.TB, name string) *tenant {
	t.Helper()
	python := interpreters.Find(t, "python", "/usr/bin/python3", "python3")
	files := map[string]string{"passenger_wsgi.py": sendingApp, "public/private.txt": "a private file"}

	return &tenant{
		name:    name,
		root:    s.tenantDir(t, name, daemonUID, files),
		options: map[string]string{"python": python},
	}
}

// nginx sends what the application names, where Flying is not told to; and where it is,
// it does so itself.
func TestFilesThatApplicationsNameAreSentByNginx(t *testing.T) {
	t.Parallel()

	for _, kind := range webservers.Kinds() {
		if kind.Apache {
			continue
		}

		t.Run(kind.File, func(t *testing.T) {
			t.Parallel()
			box := newFlyingSandbox(t)
			f := startFlying(t, box)
			front, own, off := box.sendingTenant(t, "front"), box.sendingTenant(t, "own"), box.sendingTenant(t, "off")
			own.options["sendfile_roots"] = filepath.Join(own.root, "public")
			off.options["sendfile"] = "self"
			dir := filepath.Join(f.Dir, "web")
			require.NoError(t, os.Mkdir(dir, 0o755))
			w := &webServer{t: t, Server: webservers.Start(t, kind, dir, func(addr string) string {
				var sites strings.Builder
				for i, a := range []*tenant{front, own, off} {
					site := f.site(t, kind, addr, a)
					if _, rest, ok := strings.Cut(site, "map $http_upgrade"); ok && i > 0 {
						_, site, _ = strings.Cut(rest, "}\n")
					}

					internal := fmt.Sprintf("location /private/ { internal; alias %s/public/; }\n    location @shop {",
						a.root)
					sites.WriteString(strings.Replace(site, "location @shop {", internal, 1))
				}

				return sites.String()
			})}

			sent := w.client(front).get(t, "/X-Accel-Redirect?/private/private.txt")
			require.Equal(t, http.StatusOK, sent.StatusCode)
			require.Equal(t, "a private file", sent.body)
			require.NotContains(t, sent.Header, "X-Accel-Redirect")
			require.Equal(t, http.StatusNotFound,
				w.client(front).get(t, "/X-Accel-Redirect?/private/none.txt").StatusCode)

			sent = w.client(own).get(t, "/X-Sendfile?"+filepath.Join(own.root, "public", "private.txt"))
			require.Equal(t, "a private file", sent.body)
			require.NotContains(t, sent.Header, "X-Sendfile")

			// Nothing is sent, and the log says why, once.
			for range 3 {
				sent = w.client(off).get(t, "/X-Accel-Redirect?/private/private.txt")
				require.Empty(t, sent.body)
			}

			f.Stderr.Await(t, "set sendfile to proxy", 1, f.Ended)
			require.Equal(t, 1, strings.Count(f.Stderr.String(), "set sendfile to proxy"))
		})
	}
}

// start sends nothing on by itself, and everything by option.
func TestFilesThatApplicationsNameGoToTheServerInFrontByOption(t *testing.T) {
	t.Parallel()
	interpreters.Find(t, "python", "python3")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "passenger_wsgi.py"), []byte(sendingApp), 0o644))

	for value, passes := range map[string]bool{"auto": false, "self": false, "proxy": true} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()

			s := start(t, &launch{dir: dir, args: []string{"--sendfile", value}})
			for _, name := range []string{"X-Sendfile", "X-Accel-Redirect"} {
				reply := s.client(t).get(t, "/"+name+"?/some/file")
				require.Equal(t, passes, reply.Header.Get(name) == "/some/file", name)
			}

			if !passes {
				s.Stderr.Await(t, "accel_redirect", 1, s.Ended)
			}
		})
	}
}

// Each option says in a sentence what is wrong with it.
func TestOptionsOfProxiesAreChecked(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	for _, row := range []struct {
		args []string
		says string
	}{
		{
			[]string{"--trusted-header", "X-Forwrded-Host"},
			`trusted_headers: "X-Forwrded-Host" is no header that applications believe of proxies: use one of Forwarded, `,
		},
		{[]string{"--sendfile", "nginx"}, `sendfile is "nginx": it must be auto, self or proxy`},
		{[]string{"--sendfile", "proxy", "--sendfile-root", dir}, "leave these out, or set sendfile to self"},
		{
			[]string{"--proxy-protocol", "localhost"},
			`proxy_protocol: "localhost" is neither an address nor a prefix like 10.0.0.0/8, nor unix`,
		},
		{[]string{"--proxy-protocol", "unix"}, "there is no socket file: name the networks of the proxies"},
		{
			[]string{"--proxy-protocol", "127.0.0.1", "--socket", filepath.Join(dir, "s")},
			"no client can connect to the socket file",
		},
	} {
		box := newSandbox(t)
		out, err := box.command(t.Context(), &launch{dir: dir, args: append(testApp(t), row.args...)}).CombinedOutput()
		require.Error(t, err, string(out))
		require.Contains(t, string(out), row.says)
		box.RequireClean(t)
	}
}
