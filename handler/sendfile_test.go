package handler_test

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/logged"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// sending responds with the headers that the query says, NAME:VALUE, and a body.
func sending() spawnertest.Script {
	return scripted(func(r *http.Request, c net.Conn) bool {
		named := r.Header.Get("X-Say")
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/x-mine\r\nContent-Length: 8\r\n"+named+
			"\r\n\r\nthe body")

		return false
	})
}

// files makes a tree with a root and things outside of it.
func files(t *testing.T) (root string) {
	t.Helper()
	dir := t.TempDir()
	root = filepath.Join(dir, "root")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "deep"), 0o755))

	for name, text := range map[string]string{
		"root/a.txt": "file a", "root/deep/b c.txt": "file b", "secret.txt": "secret", "root-not/c.txt": "secret",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}

	require.NoError(t, os.Symlink("../secret.txt", filepath.Join(root, "link.txt")))
	require.NoError(t, os.Symlink("..", filepath.Join(root, "up")))
	require.NoError(t, os.Symlink("/proc/self", filepath.Join(root, "proc")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(root, "fifo"), 0o644))

	return root
}

// Faults: R-50.
func TestSendfileSendsFilesOfNamedDirectories(t *testing.T) {
	root := files(t)
	cfg := handler.Config{Sendfile: handler.Sendfile{
		Roots: []string{"/nonexistent", root},
		Accel: map[string]string{"/files/": root, "/files/deep/": filepath.Join(root, "deep")},
	}}
	serveConfig(t, sending(), cfg, func(s *site) {
		for said, want := range map[string]string{
			"X-Sendfile: " + root + "/a.txt":                "file a",
			"X-Sendfile: " + root + "/deep/../a.txt":        "file a",
			"X-Sendfile: " + root + "/deep/b c.txt":         "file b",
			"X-Accel-Redirect: /files/a.txt":                "file a",
			"X-Accel-Redirect: /files/deep/b%20c.txt?query": "file b",

			"X-Sendfile: " + root + "/missing":           "",
			"X-Sendfile: " + root + "/link.txt":          "",
			"X-Sendfile: " + root + "/up/secret.txt":     "",
			"X-Sendfile: " + root + "/proc/environ":      "",
			"X-Sendfile: " + root + "/../secret.txt":     "",
			"X-Sendfile: " + root + "-not/c.txt":         "",
			"X-Sendfile: " + root + "/fifo":              "",
			"X-Sendfile: " + root + "/deep":              "",
			"X-Sendfile: " + root:                        "",
			"X-Sendfile: a.txt":                          "",
			"X-Sendfile: /etc/passwd":                    "",
			"X-Sendfile:":                                "",
			"X-Accel-Redirect: /a.txt":                   "",
			"X-Accel-Redirect: /files/":                  "",
			"X-Accel-Redirect: /files/../secret.txt":     "",
			"X-Accel-Redirect: /files/%2e%2e/secret.txt": "",
			"X-Accel-Redirect: /files/..%2fsecret.txt":   "",
			"X-Accel-Redirect: /files//etc/passwd":       "",
			"X-Accel-Redirect: /files/up/secret.txt":     "",
			"X-Accel-Redirect: /files/%zz":               "",
			"X-Accel-Redirect: http://x/files/a.txt":     "",
		} {
			resp, body := s.do(http.MethodGet, "/", "", "X-Say", said)
			if want == "" {
				require.Equal(s, http.StatusNotFound, resp.StatusCode, said)
				require.NotContains(s, body, "secret", said)
				require.NotContains(s, body, root, said)
			} else {
				require.Equal(s, http.StatusOK, resp.StatusCode, said)
				require.Equal(s, want, body, said)
				require.Equal(s, "text/x-mine", resp.Header.Get("Content-Type"), "the application knows better")
				require.Equal(s, "6", resp.Header.Get("Content-Length"))
			}

			require.NotContains(s, resp.Header, "X-Sendfile")
			require.NotContains(s, resp.Header, "X-Accel-Redirect")
			require.Zero(s, s.sessions())
		}

		said := "X-Sendfile: " + root + "/a.txt"
		resp, body := s.do(http.MethodGet, "/", "", "X-Say", said, "Range", "bytes=1-2")
		require.Equal(s, http.StatusPartialContent, resp.StatusCode)
		require.Equal(s, "206 Partial Content", resp.Header.Get("Status"))
		require.Equal(s, "il", body)

		for ranges, status := range map[string]int{
			"0-1,3-4":                           http.StatusOK, // less than what stands around them
			strings.Repeat("0-1,", 599) + "0-1": http.StatusRequestedRangeNotSatisfiable,
		} {
			resp, _ := s.do(http.MethodGet, "/", "", "X-Say", said, "Range", "bytes="+ranges)
			require.Equal(s, status, resp.StatusCode)
		}

		resp, body = s.do(http.MethodHead, "/", "", "X-Say", said)
		require.Equal(s, http.StatusOK, resp.StatusCode)
		require.Empty(s, body)
		resp, _ = s.do(http.MethodGet, "/", "", "X-Say", said, "If-Modified-Since", resp.Header.Get("Last-Modified"))
		require.Equal(s, http.StatusNotModified, resp.StatusCode)
	})
}

func TestSendfileHasATagOfContentsWhereAToolSetTheTime(t *testing.T) {
	root := files(t)
	path := filepath.Join(root, "a.txt")
	built := time.Unix(1_700_000_000, 0)
	put := func(text string) {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		require.NoError(t, os.Chtimes(path, built, built))
	}
	cfg := handler.Config{Sendfile: handler.Sendfile{Roots: []string{root}}}
	serveConfig(t, sending(), cfg, func(s *site) {
		put("release 1")
		said := "X-Sendfile: " + path
		first, _ := s.do(http.MethodGet, "/", "", "X-Say", said)
		tag := first.Header.Get("ETag")
		resp, _ := s.do(http.MethodGet, "/", "", "X-Say", said, "If-None-Match", tag)
		require.Equal(s, http.StatusNotModified, resp.StatusCode)

		put("release 2")
		resp, body := s.do(http.MethodGet, "/", "", "X-Say", said, "If-None-Match", tag)
		require.Equal(s, http.StatusOK, resp.StatusCode)
		require.Equal(s, "release 2", body)
	})
}

// Faults: C14.
func TestSendfileThatIsNotAllowedDisclosesNothing(t *testing.T) {
	root := files(t)
	var log logged.Buffer
	serveConfig(t, sending(), handler.Config{Logger: log.Logger()}, func(s *site) {
		for _, said := range []string{
			"X-Sendfile: " + root + "/a.txt", "X-Accel-Redirect: /a.txt", "X-Sendfile: " + root + "/a.txt",
			"X-Accel-Redirect: /a.txt",
		} {
			resp, body := s.do(http.MethodGet, "/", "", "X-Say", said)
			require.Equal(s, http.StatusOK, resp.StatusCode)
			require.Equal(s, "the body", body)
			require.NotContains(s, resp.Header, "X-Sendfile")
			require.NotContains(s, resp.Header, "X-Accel-Redirect")
		}
	})
	require.Equal(t, 1, log.Count("sendfile_roots"), "once, with what would allow it")
	require.Equal(t, 1, log.Count("accel_redirect"))
	require.NotContains(t, log.String(), root, "no path of the application is logged")

	var quiet logged.Buffer
	cfg := handler.Config{Logger: quiet.Logger(), Sendfile: handler.Sendfile{Roots: []string{root}, ToProxy: true}}
	defer func() { require.NotContains(t, quiet.String(), "sendfile") }()
	serveConfig(t, sending(), cfg, func(s *site) {
		resp, body := s.do(http.MethodGet, "/", "", "X-Say", "X-Sendfile: "+root+"/a.txt")
		require.Equal(s, "the body", body)
		require.Equal(s, root+"/a.txt", resp.Header.Get("X-Sendfile"))
	})
}

// Root could read what an application's user has only linked.
// Faults: R-50.
func TestSendfileSendsNoFilesOfOtherUsers(t *testing.T) {
	interpreters.Root(t, "to make files of other users")

	root := files(t)
	for name, mode := range map[string]os.FileMode{"private": 0o600, "public": 0o644} {
		path := filepath.Join(root, name)
		require.NoError(t, os.WriteFile(path, []byte(name), mode))
		require.NoError(t, os.Chown(path, 12345, 12345))
	}

	serveConfig(t, sending(), handler.Config{Sendfile: handler.Sendfile{Roots: []string{root}}}, func(s *site) {
		resp, _ := s.do(http.MethodGet, "/", "", "X-Say", "X-Sendfile: "+root+"/private")
		require.Equal(s, http.StatusNotFound, resp.StatusCode)
		resp, body := s.do(http.MethodGet, "/", "", "X-Say", "X-Sendfile: "+root+"/public")
		require.Equal(s, http.StatusOK, resp.StatusCode)
		require.Equal(s, "public", body)
	})
}

// deployed makes files that have their names in them, and a link current to the release 7. use leads it to another one.
func deployed(t *testing.T, files ...string) (dir string, use func(release string)) {
	t.Helper()
	dir = t.TempDir()

	for _, name := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(name), 0o644))
	}

	current := filepath.Join(dir, "current")
	use = func(release string) {
		require.NoError(t, os.Symlink("releases/"+release, current+".new"))
		require.NoError(t, os.Rename(current+".new", current))
	}
	use("7")

	return dir, use
}

// A root is named by a link that follows the releases, a file by its release's own path, or the other way round.
func TestSendfileComparesRealPaths(t *testing.T) {
	dir, use := deployed(t, "releases/7/storage/x", "releases/8/storage/x", "shared/files/y", "secret")
	current := filepath.Join(dir, "current")

	for _, n := range []string{"7", "8"} {
		require.NoError(t, os.Symlink("../../shared/files", filepath.Join(dir, "releases", n, "linked")))
		require.NoError(t, os.Symlink("../../..", filepath.Join(dir, "releases", n, "storage/up")))
	}

	cfg := handler.Config{Sendfile: handler.Sendfile{Roots: []string{
		filepath.Join(current, "storage"), filepath.Join(current, "linked"),
	}}}
	serveConfig(t, sending(), cfg, func(s *site) {
		ask := func(path string) (int, string) {
			resp, body := s.do(http.MethodGet, "/", "", "X-Say", "X-Sendfile: "+filepath.Join(dir, path))
			return resp.StatusCode, body
		}
		for path, want := range map[string]string{
			"releases/7/storage/x": "releases/7/storage/x", "current/storage/x": "releases/7/storage/x",
			"releases/7/linked/y": "shared/files/y", "shared/files/y": "shared/files/y",
			"current/linked/y":     "shared/files/y",
			"releases/8/storage/x": "", "releases/7/storage/up/secret": "", "secret": "",
		} {
			status, body := ask(path)
			if want == "" {
				require.Equal(s, http.StatusNotFound, status, path)
			} else {
				require.Equal(s, want, body, path)
			}
		}

		use("8")
		status, body := ask("releases/8/storage/x")
		require.Equal(s, http.StatusOK, status)
		require.Equal(s, "releases/8/storage/x", body)
	})
}

// The link leads to a release that does not serve yet, or that does not start.
func TestAcceleratedFilesAreThoseOfTheProcessesRelease(t *testing.T) {
	dir, use := deployed(t, "releases/7/storage/x", "releases/8/storage/x", "releases/8/storage/new", "shared/y")
	current := filepath.Join(dir, "current")

	cfg := handler.Config{Sendfile: handler.Sendfile{Accel: map[string]string{
		"/storage/": filepath.Join(current, "storage"), "/shared/": filepath.Join(dir, "shared"),
	}}}
	cfg.Options.App.Root = current
	serveConfig(t, sending(), cfg, func(s *site) {
		require.Equal(s, "releases/7/storage/x", s.accelerated("/storage/x"))
		use("8")
		require.Equal(s, "releases/7/storage/x", s.accelerated("/storage/x"))
		require.Equal(s, "releases/8/storage/new", s.accelerated("/storage/new"), "what is only there")
		require.Equal(s, "shared/y", s.accelerated("/shared/y"))

		require.NoError(s, s.pool.Restart(s.Context(), "app", passenger.RestartOptions{}))
		require.Equal(s, "releases/8/storage/x", s.accelerated("/storage/x"))
	})
}

// The application may be deeper in a release than the files that it names.
func TestNamedFilesBesideTheApplicationAreThoseOfItsRelease(t *testing.T) {
	dir, use := deployed(t, "releases/7/storage/x", "releases/8/storage/x", "releases/7/web/app.js",
		"releases/8/web/app.js", "secret")
	current := filepath.Join(dir, "current")

	for _, n := range []string{"7", "8"} {
		require.NoError(t, os.Symlink("../../..", filepath.Join(dir, "releases", n, "storage/up")))
	}

	cfg := handler.Config{Sendfile: handler.Sendfile{
		Accel: map[string]string{"/storage/": filepath.Join(current, "storage")},
		Roots: []string{filepath.Join(current, "storage")},
	}}
	cfg.Options.App.Root = filepath.Join(current, "web")
	serveConfig(t, sending(), cfg, func(s *site) {
		named := func(path string) (int, string) {
			resp, body := s.do(http.MethodGet, "/", "", "X-Say", "X-Sendfile: "+filepath.Join(dir, path))
			return resp.StatusCode, body
		}

		require.Equal(s, "releases/7/storage/x", s.accelerated("/storage/x"))
		use("8")
		require.Equal(s, "releases/7/storage/x", s.accelerated("/storage/x"))
		status, body := named("releases/7/storage/x")
		require.Equal(s, http.StatusOK, status)
		require.Equal(s, "releases/7/storage/x", body)

		require.NoError(s, s.pool.Restart(s.Context(), "app", passenger.RestartOptions{}))
		require.Equal(s, "releases/8/storage/x", s.accelerated("/storage/x"))
		_, body = named("releases/8/storage/x")
		require.Equal(s, "releases/8/storage/x", body)

		for _, path := range []string{"releases/8/storage/up/secret", "releases/8/web/app.js", "secret"} {
			status, _ = named(path)
			require.Equal(s, http.StatusNotFound, status, path)
		}
	})
}

// accelerated returns the file that X-Accel-Redirect names.
func (s *site) accelerated(path string) string {
	resp, body := s.do(http.MethodGet, "/", "", "X-Say", "X-Accel-Redirect: "+path)
	require.Equal(s, http.StatusOK, resp.StatusCode, path)

	return body
}
