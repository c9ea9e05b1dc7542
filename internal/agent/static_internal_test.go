package agent

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// staticSite is a static server in front of an application that says "app".
type staticSite struct {
	*testing.T
	*static
	dir    string
	serves passenger.ReleaseDirs

	mu  sync.Mutex
	log []string
}

func newStaticSite(t *testing.T) *staticSite {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	s := &staticSite{T: t, dir: dir}
	s.static = &static{
		immutable:  true,
		compressor: newCompressor(defaultStaticCache),
		releases:   func() passenger.ReleaseDirs { return s.serves },
		next: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "app")
		}),
		log: funcr.New(func(_, args string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.log = append(s.log, args)
		}, funcr.Options{}),
	}
	s.locate(filepath.Join(dir, "current"), filepath.Join(dir, "current/public"))

	return s
}

func (s *staticSite) write(name, text string) {
	s.Helper()
	path := filepath.Join(s.dir, name)
	require.NoError(s, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(s, os.WriteFile(path, []byte(text), 0o644))
}

func (s *staticSite) link(target, name string) {
	s.Helper()
	path := filepath.Join(s.dir, name)
	require.NoError(s, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(s, os.Symlink(target, path+".new"))
	require.NoError(s, os.Rename(path+".new", path))
}

func (s *staticSite) ask(target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}

	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)

	return w
}

func (s *staticSite) body(target string) string { return s.ask(target).Body.String() }

func (s *staticSite) logged(text string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()

	for _, line := range s.log {
		if strings.Contains(line, text) {
			n++
		}
	}

	return n
}

func TestStaticFilesComeFromTheReleaseThatServes(t *testing.T) {
	s := newStaticSite(t)
	for _, n := range []string{"1", "2"} {
		s.write("releases/"+n+"/public/same.txt", "of "+n)
		s.write("releases/"+n+"/public/app-0123456"+n+"a.js", "js of "+n)
	}

	s.link("releases/1", "current")
	one, two := filepath.Join(s.dir, "releases/1"), filepath.Join(s.dir, "releases/2")
	require.Equal(t, "of 1", s.body("/same.txt"), "no process has started")

	s.link("releases/2", "current")
	s.serves.Serving = []string{one}
	require.Equal(t, "of 1", s.body("/same.txt"), "the link is switched, and the application not restarted")
	require.Equal(t, "js of 2", s.body("/app-01234562a.js"), "what has a fingerprint cannot be wrong")

	s.serves.Serving = []string{two, one}
	require.Equal(t, "of 2", s.body("/same.txt"))
	require.Equal(t, "js of 1", s.body("/app-01234561a.js"))

	s.serves = passenger.ReleaseDirs{Serving: []string{two}, Past: []string{one}}
	require.Equal(t, "js of 1", s.body("/app-01234561a.js"), "a browser may still have the page")
	require.NoError(t, os.Remove(filepath.Join(two, "public/same.txt")))
	require.Equal(t, "app", s.body("/same.txt"), "a page of a past release is none")
	require.NoError(t, os.RemoveAll(one))
	require.Equal(t, "app", s.body("/app-01234561a.js"))
}

// The application may be deeper in a release than its files are, or they may be all of it.
func TestStaticFilesFollowTheReleasesWhereverTheyAreInThem(t *testing.T) {
	for name, test := range map[string]struct{ app, public string }{
		"beside the application": {"/web", "/public"},
		"around the application": {"/web", ""},
		"the application's own":  {"", ""},
		"below the application":  {"/web", "/web/dist"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStaticSite(t)
			s.write("shared/uploads/a.txt", "uploaded")

			for _, n := range []string{"1", "2"} {
				s.write("releases/"+n+test.app+"/app.js", "")
				s.write("releases/"+n+test.public+"/same.txt", "of "+n)
				s.write("releases/"+n+test.public+"/app-0123456"+n+"a.js", "js of "+n)
				s.link(filepath.Join(s.dir, "shared/uploads"), "releases/"+n+test.public+"/uploads")
			}

			s.link("releases/1", "current")
			s.locate(filepath.Join(s.dir, "current"+test.app), filepath.Join(s.dir, "current"+test.public))
			one := filepath.Join(s.dir, "releases/1"+test.app)
			two := filepath.Join(s.dir, "releases/2"+test.app)
			require.Equal(t, "of 1", s.body("/same.txt"), "no process has started")

			s.link("releases/2", "current")
			s.serves.Serving = []string{one}
			require.Equal(t, "of 1", s.body("/same.txt"), "the link is switched, and the application not restarted")
			require.Equal(t, "js of 2", s.body("/app-01234562a.js"))
			require.Equal(t, "uploaded", s.body("/uploads/a.txt"))

			s.serves = passenger.ReleaseDirs{Serving: []string{two}, Past: []string{one}}
			require.Equal(t, "of 2", s.body("/same.txt"))
			require.Equal(t, "js of 1", s.body("/app-01234561a.js"))
			require.Equal(t, "uploaded", s.body("/uploads/a.txt"))
			require.Empty(t, s.log)
		})
	}
}

// All releases share what is above the link.
func TestStaticFilesAboveTheReleases(t *testing.T) {
	s := newStaticSite(t)
	s.write("releases/1/web/app.js", "")
	s.write("shared/public/a.txt", "shared")
	s.write("releases/1/shared/public/a.txt", "not this")
	s.link("releases/1", "current")
	s.locate(filepath.Join(s.dir, "current/web"), filepath.Join(s.dir, "shared/public"))

	for _, serving := range [][]string{nil, {filepath.Join(s.dir, "releases/1/web")}, {"/elsewhere"}} {
		s.serves.Serving = serving
		require.Equal(t, "shared", s.body("/a.txt"))
	}

	s.locate("/nonexistent/app", filepath.Join(s.dir, "shared/public"))
	require.Equal(t, "shared", s.body("/a.txt"))
}

// Whoever owns the link to the release could let it lead to what only root can read.
func TestStaticLinksOfOthersOnTheWay(t *testing.T) {
	interpreters.Root(t, "to make files of other users")
	const tenant, other = 61001, 61002

	for name, test := range map[string]struct {
		target string
		served bool
	}{
		"own release":   {"releases/1", true},
		"another's":     {"other", false},
		"root's":        {"root", false},
		"another's web": {"hop", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStaticSite(t)
			own := func(uid int, names ...string) {
				for _, name := range names {
					require.NoError(t, os.Lchown(filepath.Join(s.dir, name), uid, uid))
				}
			}

			for _, dir := range []string{"releases/1", "other", "root"} {
				s.write(dir+"/web/app.js", "")
				s.write(dir+"/public/a.txt", dir)
			}

			s.link("other", "hop")
			s.link(test.target, "current")
			own(tenant, "releases/1", "releases/1/public", "releases/1/public/a.txt", "current", "hop")
			own(other, "other", "other/web", "other/public", "other/public/a.txt")

			for _, app := range []string{"current/web", "current", "elsewhere"} {
				s.locate(filepath.Join(s.dir, app), filepath.Join(s.dir, "current/public"))
				if test.served {
					require.Equal(t, test.target, s.body("/a.txt"), app)
				} else {
					require.Equal(t, "app", s.body("/a.txt"), app)
				}
			}

			require.Equal(t, !test.served, s.logged("another user") > 0, s.log)
		})
	}
}

func TestStaticDirectoryMayComeAndGo(t *testing.T) {
	s := newStaticSite(t)
	s.write("current/app.js", "")
	require.Equal(t, "app", s.body("/a.txt"))

	s.write("current/public/a.txt", "first")
	require.Equal(t, "first", s.body("/a.txt"))
	public := filepath.Join(s.dir, "current/public")
	require.NoError(t, os.Rename(public, public+".old"))
	require.Equal(t, "app", s.body("/a.txt"))
	s.write("current/public/a.txt", "second")
	require.Equal(t, "second", s.body("/a.txt"))

	require.NoError(t, os.RemoveAll(public))
	s.write("shared/public/a.txt", "shared")
	s.link("../shared/public", "current/public")
	require.Equal(t, "shared", s.body("/a.txt"))
	require.Empty(t, s.log)

	require.NoError(t, os.Remove(public))
	s.write("current/public", "a file")
	require.Equal(t, "app", s.body("/a.txt"))
	require.Equal(t, "app", s.body("/b.txt"))
	require.Equal(t, 1, s.logged("not a directory"), s.log)
}

func TestStaticLinksOutOfPublic(t *testing.T) {
	s := newStaticSite(t)
	s.write("current/public/in.txt", "in")
	s.write("shared/uploads/deep/a.txt", "shared")
	s.link("../../shared/uploads", "current/public/uploads")
	s.link(filepath.Join(s.dir, "shared"), "current/public/absolute")
	s.link("uploads/deep/../deep/./a.txt", "current/public/chain.txt")
	s.link("in.txt", "current/public/inner.txt")

	for target, want := range map[string]string{
		"/uploads/deep/a.txt": "shared", "/absolute/uploads/deep/a.txt": "shared", "/chain.txt": "shared",
		"/inner.txt": "in", "/uploads/deep": "app", "/uploads/none": "app",
	} {
		require.Equal(t, want, s.body(target), target)
	}

	require.Empty(t, s.log)

	s.link("loop.txt", "current/public/loop.txt")
	s.link("../public/round/x", "current/public/round")

	for range 3 {
		require.Equal(t, "app", s.body("/loop.txt"))
		require.Equal(t, "app", s.body("/round"))
	}

	require.Equal(t, 1, s.logged("circle"), s.log)

	s.link("/proc/self/environ", "current/public/environ")
	require.Equal(t, "app", s.body("/environ"))
	require.NoError(t, syscall.Mkfifo(filepath.Join(s.dir, "shared/uploads/fifo"), 0o600))
	require.Equal(t, "app", s.body("/uploads/fifo"))
}

func TestStaticLinksToFilesOfOthers(t *testing.T) {
	interpreters.Root(t, "to make files of other users")
	const tenant, other = 61001, 61002
	s := newStaticSite(t)
	own := func(uid int, names ...string) {
		for _, name := range names {
			require.NoError(t, os.Lchown(filepath.Join(s.dir, name), uid, uid))
		}
	}
	s.write("current/public/in.txt", "in")

	for _, name := range []string{"of-root.txt", "of-tenant.txt", "of-other.txt"} {
		s.write("shared/"+name, name)
	}

	own(tenant, "shared/of-tenant.txt")
	own(other, "shared/of-other.txt")

	for link, target := range map[string]string{
		"root-root": "of-root.txt", "root-other": "of-other.txt",
		"tenant-own": "of-tenant.txt", "tenant-root": "of-root.txt", "tenant-other": "of-other.txt",
	} {
		s.link("../../shared/"+target, "current/public/"+link)
		if strings.HasPrefix(link, "tenant") {
			own(tenant, "current/public/"+link)
		}
	}

	// A tenant's link to a link of root's is still a tenant's link to what it leads to.
	s.link("root-root", "current/public/hop")
	s.link("../public/hop", "current/public/twice")
	own(tenant, "current/public/hop", "current/public/twice")

	// A directory of root's on the way is none of the tenant's.
	s.link("../../shared", "current/public/dir")
	own(tenant, "current/public/dir")

	for target, want := range map[string]string{
		"/root-root": "of-root.txt", "/root-other": "of-other.txt", "/tenant-own": "of-tenant.txt",
		"/tenant-root": "app", "/tenant-other": "app", "/hop": "app", "/twice": "app", "/dir/of-tenant.txt": "app",
		"/in.txt": "in",
	} {
		require.Equal(t, want, s.body(target), target)
	}

	require.Equal(t, 1, s.logged("another user"), s.log)
}

func TestStaticFileThatCannotBeRead(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can read all")
	}

	s := newStaticSite(t)
	s.write("current/public/a.txt", "a")
	require.NoError(t, os.Chmod(filepath.Join(s.dir, "current/public/a.txt"), 0))
	require.Equal(t, http.StatusForbidden, s.ask("/a.txt").Code)
	require.Equal(t, http.StatusForbidden, s.ask("/a.txt").Code)
	require.Equal(t, 1, s.logged("cannot be read"), s.log)
}

func TestStaticTypesDoNotDependOnTheMachine(t *testing.T) {
	for name, want := range map[string]string{
		"a.webmanifest": "application/manifest+json", "a.ts": "video/mp2t", "a.mjs": "text/javascript; charset=utf-8",
		"a.wasm": "application/wasm", "a.avif": "image/avif", "a.webp": "image/webp", "a.woff2": "font/woff2",
		"a.js.map": "application/json", "a.jsonld": "application/ld+json", "A.CSS": "text/css; charset=utf-8",
		"a.md": "text/markdown; charset=utf-8", "a.unheard-of": "",
	} {
		require.Equal(t, want, contentType(name), name)
	}
}

func TestStaticBaseURI(t *testing.T) {
	s := newStaticSite(t)
	s.base = "/shop"
	s.write("current/public/index.html", "index")
	s.write("current/public/ping.html", "ping")

	for target, want := range map[string]string{
		"/shop": "index", "/shop/": "index", "/shop/ping": "ping",
		"/shopping": "app",
	} {
		require.Equal(t, want, s.body(target), target)
	}

	s.base = "/caf%C3%A9"
	for target, want := range map[string]string{
		"/caf%C3%A9": "index", "/caf%c3%a9/ping": "ping", "/c%61f%C3%A9/p%69ng": "ping", "/cafe/ping": "app",
		"/caf%C3%A9%2Fping":      "app",
		"/caf%C3%A9/%2e%2e/ping": "app", "/ping": "app",
	} {
		require.Equal(t, want, s.body(target), target)
	}
}
