package browser

import (
	"bufio"
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/stretchr/testify/require"
)

// certificate writes that of httptest's servers, and its key, into files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	pair := server.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{
		Type:  "CERTIFICATE",
		Bytes: pair.Certificate[0],
	}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))

	return cert, key
}

// programs is the directory of what the tests build.
var programs string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "programs")
	if err != nil {
		panic(err)
	}

	programs = dir
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

var buildOnce = sync.OnceValues(func() (out []byte, err error) {
	build := exec.Command("go", "build", "-ldflags=-w", "-o", filepath.Join(programs, "passenger"), "./cmd/passenger")
	build.Dir = filepath.Join("..", "..", "..")

	return build.CombinedOutput()
})

// buildProgram builds passenger, once for all tests.
func buildProgram(t *testing.T) (program string) {
	t.Helper()
	out, err := buildOnce()
	require.NoError(t, err, "%s", out)

	return filepath.Join(programs, "passenger")
}

func makeRegistry(t *testing.T) string {
	t.Helper()
	registry, err := os.MkdirTemp("", "reg") //nolint:usetesting // that of t is too long for sockets
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.Remove(registry)) }) // it is empty then

	return registry
}

// startServer builds passenger and starts it for an application in Python, and
// returns its address.
func startServer(t *testing.T, app string, args ...string) (url string) {
	t.Helper()
	return startBuilt(t, buildProgram(t), makeRegistry(t), app, args...)
}

func startBuilt(t *testing.T, program, registry, app string, args ...string) (url string) {
	t.Helper()
	cmd := exec.Command(program, append([]string{"start", app, "--address", "127.0.0.1", "--port", "0"}, args...)...)
	cmd.Env = append(os.Environ(), "PASSENGER_INSTANCE_REGISTRY_DIR="+registry)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Wait())
	})

	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if where, ok := strings.CutPrefix(lines.Text(), "Accessible via:"); ok {
			return strings.TrimSpace(where)
		}
	}

	require.FailNow(t, "the server did not say where it is")

	return ""
}

const wsgi = `def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    page = """<!DOCTYPE html><title>from python</title>
<link rel=icon href=data:,><link rel=stylesheet href=/style.css>
<p id=scheme>"""
    return [(page + environ["wsgi.url_scheme"]).encode()]
`

func TestPageByHTTPS(t *testing.T) {
	python := interpreters.Find(t, "python", "python3")
	app := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(app, "passenger_wsgi.py"), []byte(wsgi), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(app, "public"), 0o700))
	style := "p { color: rgb(1, 2, 3) }\n" + strings.Repeat("/* compressed */\n", 500)
	require.NoError(t, os.WriteFile(filepath.Join(app, "public", "style.css"), []byte(style), 0o600))
	cert, key := certificate(t)
	url := startServer(t, app, "--python", python, "--ssl", "--ssl-certificate", cert, "--ssl-certificate-key", key)
	b := openBrowser(t, chromedp.Flag("ignore-certificate-errors", true))
	b.open(url, views[0])
	require.Equal(t, "from python", b.text("document.title"))
	require.Equal(t, "https", b.text("document.getElementById('scheme').textContent"))
	require.Equal(t, "h2", b.text("performance.getEntriesByType('navigation')[0].nextHopProtocol"))
	require.Equal(t, "rgb(1, 2, 3)", b.text("getComputedStyle(document.getElementById('scheme')).color"))
	require.True(t, run(b, chromedp.Evaluate[bool](
		"(e => e.encodedBodySize > 0 && e.encodedBodySize < e.decodedBodySize / "+
			"4)(performance.getEntriesByName(document.styleSheets[0].href)[0])")))
	b.requireQuiet(url, url+"style.css")
}
