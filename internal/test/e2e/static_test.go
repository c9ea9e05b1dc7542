package e2e_test

import (
	"cmp"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

const hidden = "no client may see this"

// newPublic returns an application's directory with static files.
func newPublic(t *testing.T) string {
	t.Helper()
	dir := newDir(t, map[string]string{
		"secret.txt":                    hidden,
		"public/index.html":             "<p>index",
		"public/page.html":              "<p>page",
		"public/sub/index.html":         "<p>sub index",
		"public/sub/file.txt":           "0123456789",
		"public/with space.txt":         "space",
		"public/empty.txt":              "",
		"public/.env":                   hidden,
		"public/.git/config":            hidden,
		"public/sub/.htpasswd":          hidden,
		"public/.well-known/token":      "token",
		"public/.well-known/.env":       hidden,
		"public/.well-known.d/x":        hidden,
		"public/nothing/here/index.txt": "no index",
	})
	public := filepath.Join(dir, "public")
	require.NoError(t, syscall.Mkfifo(filepath.Join(public, "fifo"), 0o600))
	require.NoError(t, syscall.Mkfifo(filepath.Join(public, "pipe.html"), 0o600))

	for link, target := range map[string]string{
		"out": "../secret.txt", "abs": filepath.Join(dir, "secret.txt"), "up": "..", "loop": "loop", "dangling": "none",
		"in.txt": "sub/file.txt",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(public, link)))
	}

	return dir
}

// app begins the application's responses.
const app = "app: "

var staticRequests = []struct {
	method, target string
	header         []string
	status         int
	body           string
}{
	{target: "/", body: "<p>index"},
	{target: "/?a=b", body: "<p>index"},
	{target: "/index.html", body: "<p>index"},
	{target: "/page", body: "<p>page"},
	{target: "/page.html", body: "<p>page"},
	{target: "/page/", body: app},
	{target: "/sub/", body: "<p>sub index"},
	{target: "/sub", body: app},
	{target: "/sub/file.txt", body: "0123456789"},
	{target: "/sub//file.txt", body: "0123456789"},
	{target: "/with%20space.txt", body: "space"},
	{target: "/sub%2Ffile.txt", body: "0123456789"},
	{target: "/empty.txt", body: ""},
	{target: "/in.txt", body: "0123456789"},
	{target: "/in.txt/", body: app},
	{target: "/sub/file.txt/x", body: app},
	{target: "/nothing/here/", body: app},
	{target: "/none", body: app},
	{target: "/NONE.html", body: app},

	{method: http.MethodHead, target: "/sub/file.txt", body: ""},
	{method: http.MethodPost, target: "/page.html", body: app + "POST /page.html"},
	{method: http.MethodPut, target: "/sub/file.txt", body: app},
	{method: http.MethodDelete, target: "/sub/file.txt", body: app},
	{method: http.MethodOptions, target: "/page", body: app},

	{target: "/sub/file.txt", header: []string{"Range", "bytes=2-4"}, status: http.StatusPartialContent, body: "234"},
	{target: "/sub/file.txt", header: []string{"Range", "bytes=-2"}, status: http.StatusPartialContent, body: "89"},
	{
		target: "/sub/file.txt",
		header: []string{"Range", "bytes=99-"},
		status: http.StatusRequestedRangeNotSatisfiable,
		body:   "invalid range: failed to overlap\n",
	},

	{target: "/.env", body: app},
	{target: "/.git/config", body: app},
	{target: "/sub/.htpasswd", body: app},
	{target: "/%2eenv", body: app},
	{target: "/%2Egit/config", body: app},
	{target: "/.well-known/token", body: "token"},
	{target: "/.well-known/.env", body: app},
	{target: "/.well-known/../.env", body: app},
	{target: "/.well-known/%2e%2e/.git/config", body: app},
	{target: "/.well-known.d/x", body: app},
	{target: "/sub/.well-known/../.htpasswd", body: app},

	// Links that lead out belong to the user that their target belongs to.
	{target: "/out", body: hidden},
	{target: "/abs", body: hidden},
	{target: "/up/secret.txt", body: hidden},
	{target: "/up/public/page.html", body: "<p>page"},
	{target: "/up/public/.env", body: app},
	{target: "/loop", body: app},
	{target: "/dangling", body: app},
	{target: "/../secret.txt", body: app},
	{target: "/sub/../../secret.txt", body: app},
	{target: "/%2e%2e/secret.txt", body: app},
	{target: "/..%2fsecret.txt", body: app},
	{target: "/..%5csecret.txt", body: app},
	{target: "/sub/%2e%2e%2f%2e%2e%2fsecret.txt", body: app},
	{target: "/..%252fsecret.txt", body: app},
	{target: "//secret.txt", body: app},
	{target: "/page.html%00", body: app},

	{target: "/fifo", body: app},
	{target: "/pipe", body: app},
	{target: "/pipe.html", body: app},
}

// parallel is how many tests run at a time.
func parallel(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(flag.Lookup("test.parallel").Value.String())
	require.NoError(t, err)

	return n
}

func TestStatic(t *testing.T) {
	t.Parallel()
	s := start(t, &launch{dir: newPublic(t), args: testApp(t)})
	c := s.client(t)
	c.get(t, "/pid")
	fds := s.fds(t)
	t.Run("requests", func(t *testing.T) {
		t.Parallel()
		t.Cleanup(func() {
			c.CloseIdleConnections()
			// Of connections to the application, as many are kept as there were at a time.
			s.requireNoMoreFDs(t, fds+parallel(t))
		})

		for _, r := range staticRequests {
			r.method = cmp.Or(r.method, http.MethodGet)
			t.Run(strings.Join(append([]string{r.method, r.target}, r.header...), " "), func(t *testing.T) {
				t.Parallel()
				a := c.ask(t, r.method, r.target, nil, r.header...)
				require.Equal(t, cmp.Or(r.status, http.StatusOK), a.StatusCode, a.body)
				if strings.HasPrefix(r.body, app) {
					require.True(t, strings.HasPrefix(a.body, r.body), a.body)
				} else {
					require.Equal(t, r.body, a.body)
				}
			})
		}
	})
}

func TestStaticHeader(t *testing.T) {
	t.Parallel()
	dir := newPublic(t)
	s := start(t, &launch{dir: dir, args: testApp(t)})
	c := s.client(t)
	a := c.get(t, "/page")
	require.Equal(t, "text/html; charset=utf-8", a.Header.Get("Content-Type"))
	require.Equal(t, "bytes", a.Header.Get("Accept-Ranges"))
	require.EqualValues(t, len("<p>page"), a.ContentLength)
	modified := a.Header.Get("Last-Modified")
	require.NotEmpty(t, modified)

	a = c.get(t, "/page", "If-Modified-Since", modified)
	require.Equal(t, http.StatusNotModified, a.StatusCode)
	require.Empty(t, a.body)
	a = c.get(t, "/page", "If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT")
	require.Equal(t, http.StatusOK, a.StatusCode)

	a = c.ask(t, http.MethodHead, "/sub/file.txt", nil)
	require.EqualValues(t, 10, a.ContentLength)
	require.Equal(t, "text/plain; charset=utf-8", a.Header.Get("Content-Type"))

	// Static files need no process.
	pids := s.apps(t)
	for _, pid := range pids {
		require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	}

	require.Equal(t, "<p>page", c.get(t, "/page").body)

	for _, pid := range pids {
		require.NoError(t, syscall.Kill(pid, syscall.SIGCONT))
	}

	// A file that appears is served, one that goes is not.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "public", "new.txt"), []byte("new"), 0o600))
	require.Equal(t, "new", c.get(t, "/new.txt").body)
	require.NoError(t, os.Remove(filepath.Join(dir, "public", "new.txt")))
	require.Contains(t, c.get(t, "/new.txt").body, "app: GET /new.txt")
}

// A file that a user has linked into their directory but that belongs to another is not for the public.
// Faults: H9.
func TestHardLinkToForeignFileIsNotServed(t *testing.T) {
	interpreters.Root(t, "to make files of other users")
	dir := newPublic(t)
	public := filepath.Join(dir, "public")
	const tenant = 61001
	require.NoError(t, os.Link(filepath.Join(dir, "secret.txt"), filepath.Join(public, "linked.txt")))
	require.NoError(t, os.WriteFile(filepath.Join(public, "own.txt"), []byte("own"), 0o600))
	require.NoError(t, os.Link(filepath.Join(public, "own.txt"), filepath.Join(public, "own-too.txt")))

	for _, path := range []string{public, filepath.Join(public, "own.txt")} {
		require.NoError(t, os.Chown(path, tenant, tenant))
	}

	c := start(t, &launch{dir: dir, args: testApp(t)}).client(t)
	require.Equal(t, app+"GET /linked.txt", c.get(t, "/linked.txt").body)
	require.Equal(t, "own", c.get(t, "/own-too.txt").body)
}
