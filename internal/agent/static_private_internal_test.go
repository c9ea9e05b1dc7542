package agent

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
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
			}
			for _, file := range append([]string{"index.php", "a.css", "config/a.css", "web.txt.css"}, private...) {
				s.write("release/"+file, shown)
			}

			s.link("release", "current")

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
			}

			require.Equal(t, shown, ask("/a.css"))
			require.Equal(t, shown, ask("/config/a.css"))
			require.Equal(t, shown, ask("/web.txt.css"))
		})
	}

	// Elsewhere they cost nothing.
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "public"), 0o755))
	require.Nil(t, (&Config{Dir: dir, EnvFiles: []string{".env"}}).privateFiles(filepath.Join(dir, "public")))
}
