package agent

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/options"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// Where the application's own directory is public, the files that the server is configured with are not, whatever their
// names are, nor those of the release that serves.
func TestFilesOfTheConfigurationAreNotPublic(t *testing.T) {
	const shown = "shown"

	for name, set := range map[string]func(s *staticSite, c *Config){
		"the directory is configured": func(_ *staticSite, c *Config) {
			c.StaticFilesDir = c.Dir
		},
		"it is the document root of PHP": func(s *staticSite, _ *Config) {
			s.php = &phpFiles{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStaticSite(t)
			release := filepath.Join(s.dir, "release")

			private := []string{
				"Passengerfile.json", "production.env", "config/more.env", "web.txt", "output.txt", "requests.txt",
				"spans.json", "pid", "tls.pem", "page.txt",
				// What logrotate leaves of logs.
				"web.txt.1", "web.txt.2.gz", "web.txt-20261201", "web-20261201.txt", "output.txt.old", "requests.txt.gz",
				"spans.1.json",
			}
			public := []string{"index.php", "a.css", "config/a.css", "web.txt.css", "web-2.css", "page.txt.1"}

			for _, file := range slices.Concat(public, private) {
				s.write("release/"+file, shown)
			}

			s.link("release", "current")
			s.link(".", "release/here")
			s.link("page.txt", "release/page")
			require.NoError(t, os.Link(filepath.Join(release, "page.txt"), filepath.Join(release, "hard.txt")))
			require.NoError(t, os.Link(filepath.Join(release, "a.css"), filepath.Join(release, "hard.css")))

			c := &Config{Dir: filepath.Join(s.dir, "current")}
			in := func(file string) string { return filepath.Join(c.Dir, file) }
			c.EnvFiles = []string{in("production.env"), "-config/more.env"}
			c.LogFile, c.AppLogFile, c.AccessLog = in("web.txt"), in("output.txt"), in("requests.txt")
			c.TransactionLog, c.PIDFile = in("spans.json"), in("pid")
			c.SSLKey, c.DashboardPasswordFile = in("tls.pem"), in("page.txt")

			s.locate(c.Dir, c.Dir)
			set(s, c)
			s.private = c.privateFiles(c.Dir)

			s.serves = passenger.ReleaseDirs{Serving: []string{release}}
			ask := func(path string) string { return s.request(t.Context(), http.MethodGet, path).Body.String() }

			for _, file := range private {
				require.Equal(t, "app", ask("/"+file), file)
				require.Equal(t, "app", ask("/config/../"+file), file)
				require.Equal(t, "app", ask("/here/"+file), file)
			}

			for _, name := range []string{"/page", "/hard.txt", "/here/hard.txt", "/here/here/page"} {
				require.Equal(t, "app", ask(name), name)
			}

			for _, name := range []string{
				"/a.css", "/config/a.css", "/web.txt.css", "/web-2.css", "/page.txt.1", "/here/a.css", "/hard.css",
			} {
				require.Equal(t, shown, ask(name), name)
			}
		})
	}

	// Elsewhere they cost nothing.
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "public"), 0o755))
	require.Nil(t, (&Config{Dir: dir, EnvFiles: []string{".env"}}).privateFiles(filepath.Join(dir, "public")))
}

// Each option that names a file or a directory, so that none is forgotten.
func TestNoOptionNamesAPublicFile(t *testing.T) {
	dir := t.TempDir()
	in := func(file string) string { return filepath.Join(dir, file) }
	names := 0

	for _, o := range withField(options.Start) {
		c := DefaultConfig()
		c.Dir, c.StaticFilesDir = dir, dir
		want := []string{in("file")}

		switch o.Kind {
		case options.Path, options.AbsolutePath, options.Output:
			o.set(&c, in("file"))
		case options.Paths:
			o.set(&c, []string{in("file"), "-" + in("optional")})
			want = append(want, in("optional"))
		case options.Hooks:
			o.set(&c, map[string]string{"hook_attached_process": in("file") + "; mail ;" + in("bin/other")})
			want = append(want, in("bin/other"))
		case options.Text, options.Int, options.Int64, options.Float, options.Bool, options.List, options.Map,
			options.Switch, options.PathMap, options.Command, options.Statuses, options.Object, options.Foreign:
			continue
		}

		names++
		private := c.privateFiles(dir)

		for _, file := range want {
			_, found := private[file]
			require.Equal(t, !slices.Contains(publicOptions, o.Key), found, "%s: %s", o.Key, file)
		}

		require.NotContains(t, private, dir)
		require.NotContains(t, private, in("mail"))
	}

	require.Greater(t, names, 15)
}

func TestOtherFilesOfTheServerAreNotPublic(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	release := filepath.Join(top, "releases/7")
	require.NoError(t, os.MkdirAll(filepath.Join(release, "reports"), 0o755))
	current := filepath.Join(top, "current")
	require.NoError(t, os.Symlink("releases/7", current))

	c := &Config{
		Dir:            current,
		StaticFilesDir: current,
		StartupFile:    "server.js",
		ConfigFiles:    []string{filepath.Join(current, "sites.json")},
		EnvFiles:       []string{filepath.Join(release, "real.env"), filepath.Join(top, "outside.env")},
		ErrorReportDir: filepath.Join(current, "reports"),
		IncidentDir:    current,
	}
	private := c.privateFiles(current)
	names := []string{
		"server.js", "sites.json", "real.env", "reports/passenger-error-1.html", "reports", "reports.css",
		"deep/server.js", "index.html",
	}
	require.Equal(t, []string{"reports.css", "deep/server.js", "index.html"}, private.without(current, names))
	require.Equal(t, []string{"x"}, private.without(filepath.Join(top, "elsewhere"), []string{"x"}))
}

// Files of the server, and of the other applications, may stand where one of several has its public files.
func TestFilesOfTheServerAreNotPublicInOneOfSeveralApplications(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(top, "blog"), 0o755))

	shop, blog := DefaultConfig(), DefaultConfig()
	shop.Dir, shop.StaticFilesDir = top, top
	blog.Dir, blog.StartupFile, blog.AppLogFile = filepath.Join(top, "blog"), "blog.py", filepath.Join(top, "blog.log")

	// As in the background, where it has these by default.
	c := DefaultConfig()
	c.Dir, c.LogFile, c.PIDFile = top, filepath.Join(top, "server.log"), filepath.Join(top, "server.pid")
	c.Apps = []HostedApp{{Config: &shop}, {Hosts: []string{"blog.example"}, Config: &blog}}

	h, err := newHosts(&c, spawnertest.NewPool(t, passenger.Config{}), nil, handler.Config{}, nil)
	require.NoError(t, err)

	files, ok := h.apps[0].Handler.(*static)
	require.True(t, ok)
	require.Equal(t, []string{"index.html", "blog/index.html"}, files.private.without(top, []string{
		"index.html", "server.log", "server.pid", "blog.log", "blog/blog.py", "blog/Passengerfile.json", "blog/index.html",
	}))
}
