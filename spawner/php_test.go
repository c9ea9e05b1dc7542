package spawner_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/fcgiproto"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/spawner"
)

// phpApp returns an application with one script for each kind of server.
func phpApp(t *testing.T, server, script string) spawner.App {
	t.Helper()

	program := "php-cgi"
	if server == spawner.PHPServerFPM {
		program = "php-fpm"
		if found, _ := filepath.Glob("/usr/sbin/php-fpm*"); len(found) > 0 {
			program = found[0]
		}
	}

	interpreters.Find(t, "php", program)

	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "index.php"), []byte(script), 0o600))

	return spawner.App{Root: root, Type: "php", PHPServer: server, StartTimeout: patience}
}

// forEachPHP runs a test with each of the two servers.
func forEachPHP(t *testing.T, script string, test func(t *testing.T, f *fixture, a spawner.App)) {
	t.Helper()

	for _, server := range []string{spawner.PHPServerCGI, spawner.PHPServerFPM} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			test(t, newFixture(t), phpApp(t, server, script))
		})
	}
}

// askPHP makes a request and returns the response as PHP writes it.
func askPHP(t *testing.T, p spawner.Process, path string) string {
	t.Helper()
	info := p.Info()
	conn, err := info.Sockets[0].Dial(t.Context())
	require.NoError(t, err)
	defer conn.Close()

	script, err := info.Scripts.Find(path)
	require.NoError(t, err)

	var e fcgiproto.Encoder
	e.Begin(false)
	e.Add("REQUEST_METHOD", "GET")
	e.Add("SCRIPT_FILENAME", script.Filename)
	e.EndParams()
	e.EndStdin()

	request, err := e.Bytes()
	require.NoError(t, err)
	_, err = conn.Write(request)
	require.NoError(t, err)

	var r fcgiproto.Reader
	r.Reset(conn, info.Sockets[0].Log)
	text, err := io.ReadAll(&r)
	require.NoError(t, err)

	return string(text)
}

func TestPHPServesByFastCGI(t *testing.T) {
	t.Parallel()
	forEachPHP(t, `<?php error_log("noted"); echo getenv("NAME"), ini_get("memory_limit"), posix_getpid();`,
		func(t *testing.T, f *fixture, a spawner.App) {
			a.Env = map[string]string{"NAME": "value "}
			a.PHPIni = []string{"memory_limit=77M", "log_errors=1", "error_log="}
			a.ThreadCount = 3
			p := f.start(t, a)
			info := p.Info()
			require.Equal(t, "php", info.AppType)
			require.Len(t, info.Sockets, 1)
			require.Equal(t, spawner.FastCGIProtocol, info.Sockets[0].Protocol)
			require.Equal(t, 3, info.Sockets[0].Concurrency)

			response := askPHP(t, p, "/")
			require.Contains(t, response, "\r\n\r\nvalue 77M")
			require.NotContains(t, response, fmt.Sprint(info.PID), "a child of it serves")

			p.Stop(t.Context())
			require.Equal(t, 1, strings.Count(f.log.String(), "noted"), f.log.String())
			require.NotContains(t, f.log.String(), "ERROR")
		})
}

func TestPHPHealthCheckAndWarmUp(t *testing.T) {
	t.Parallel()
	forEachPHP(t, `<?php file_put_contents("asked", $_SERVER["REQUEST_URI"]."\n", FILE_APPEND);
		if ($_SERVER["REQUEST_URI"] == "/bad") { http_response_code(500); echo "no database"; }`,
		func(t *testing.T, f *fixture, a spawner.App) {
			a.HealthPath = "/up?full=1"
			a.WarmupPaths = []string{"/warm/1"}
			p := f.start(t, a)
			require.True(t, p.Info().Checked)
			asked, err := os.ReadFile(filepath.Join(a.Root, "asked"))
			require.NoError(t, err)
			require.Equal(t, "/up?full=1\n/warm/1\n", string(asked))

			a.HealthPath = "/bad"
			e := f.fail(t, a)
			require.Equal(t, spawner.CategoryHealth, e.Category)
			require.Contains(t, e.Summary, "no database")
			require.Contains(t, e.Summary, "500")

			a.HealthPath, a.NoFrontController = "/nowhere", true
			e = f.fail(t, a)
			require.Contains(t, e.Summary, "no script for this path: /nowhere")
		})
}

func TestPHPServerThatIsMissing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := phpApp(t, spawner.PHPServerCGI, "")
	a.Env = map[string]string{"PATH": t.TempDir()}
	e := f.fail(t, a)
	require.Equal(t, spawner.CategoryFileSystem, e.Category)
	require.Contains(t, e.Summary, "the PHP server php-cgi was not found")
	require.Contains(t, e.Advice, "apt install php-cgi")

	a.PHPServer = "/nowhere/php-fpm9"
	require.Contains(t, f.fail(t, a).Summary, "/nowhere/php-fpm9")
}

func TestPHPServerThatFailsIsShown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := phpApp(t, spawner.PHPServerFPM, "")
	a.PHPIni = []string{"opcache.preload=/nowhere/preload.php"}
	e := f.fail(t, a)
	require.NotEmpty(t, e.Output)
	require.Contains(t, e.Summary+e.Output, "preload")
}

func TestPHPOptions(t *testing.T) {
	for _, test := range []struct {
		name  string
		set   func(*spawner.App)
		fault string
	}{
		{"no value", func(a *spawner.App) { a.PHPIni = []string{"memory_limit"} }, `"memory_limit" is not NAME=VALUE`},
		{"no name", func(a *spawner.App) { a.PHPIni = []string{"=1"} }, `"=1" is not NAME=VALUE`},
		{"an option", func(a *spawner.App) { a.PHPIni = []string{"-n=1"} }, `"-n=1" is not NAME=VALUE`},
		{"a section", func(a *spawner.App) { a.PHPIni = []string{"[HOST=a]"} }, "is not NAME=VALUE"},
		{"two lines", func(a *spawner.App) { a.PHPIni = []string{"a=1\nb=2"} }, "is not NAME=VALUE"},
		{"NUL", func(a *spawner.App) { a.PHPIni = []string{"a=\x00"} }, "is not NAME=VALUE"},
		{"server", func(a *spawner.App) { a.PHPServer = "apache" }, `"apache" is neither auto, fpm nor cgi`},
		{"command line", func(a *spawner.App) { a.PHPServer = "/usr/bin/php" }, `"/usr/bin/php" is neither`},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := spawner.App{Root: "/app", Type: "php"}
			require.NoError(t, a.Validate())
			test.set(&a)
			err := a.Validate()
			require.ErrorContains(t, err, test.fault)
			require.NotContains(t, strings.TrimSpace(err.Error()), "\n", "one sentence")
		})
	}

	good := spawner.App{
		Root:      "/app",
		PHPServer: "/opt/php/sbin/php-fpm",
		PHPIni:    []string{"memory_limit=1G", "xdebug.mode=", "error_reporting=E_ALL & ~E_NOTICE"},
	}
	require.NoError(t, good.Validate())
}

func BenchmarkPHPStart(b *testing.B) {
	for _, server := range []string{spawner.PHPServerCGI, spawner.PHPServerFPM} {
		b.Run(server, func(b *testing.B) {
			root := b.TempDir()
			require.NoError(b, os.WriteFile(filepath.Join(root, "index.php"), []byte("<?php"), 0o600))
			f, err := spawner.New(spawner.Config{Users: spawner.SameUser})
			require.NoError(b, err)
			defer f.Close()
			s, err := f.NewSpawner(spawner.App{Root: root, Type: "php", PHPServer: server})
			require.NoError(b, err)

			for b.Loop() {
				p, err := s.Spawn(b.Context())
				require.NoError(b, err)
				b.StopTimer()
				p.Stop(b.Context())
				b.StartTimer()
			}
		})
	}
}
