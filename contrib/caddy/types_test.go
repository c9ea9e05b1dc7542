package passengercaddy_test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/stretchr/testify/require"
)

// Applications of PHP and ASGI need options of their own.
func TestApplicationsOfPHPAndASGI(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	write("php/index.php",
		`<?php echo $_SERVER["REQUEST_URI"], " ", ini_get("memory_limit"), " ", ini_get("precision");`)
	write("asgi/main.py", `
import sys
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    server = next(name for name in ("uvicorn", "hypercorn") if name in sys.modules)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": (scope["path"] + " " + server).encode()})
`)

	textOf := func(t *testing.T, s *server, path string) string {
		resp, err := client(t).Do(s.request(http.MethodGet, 0, path, http.NoBody))
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)

		return string(body)
	}

	t.Run("PHP", func(t *testing.T) {
		interpreters.Find(t, "php", "php-cgi")
		s := one(t, "passenger "+dir+"/php {\n type php\n php_server cgi\n php_ini memory_limit=77M precision=9\n}")
		require.Equal(t, "/shop?x 77M 9", textOf(t, s, "/shop?x"))
	})

	t.Run("ASGI", func(t *testing.T) {
		python := interpreters.Find(t, "python", "/usr/bin/python3", "python3")
		if exec.CommandContext(t.Context(), python, "-c", "import uvicorn").Run() != nil {
			interpreters.Missing(t, "uvicorn", "its Python has no uvicorn")
		}

		s := one(t, "passenger "+dir+"/asgi {\n startup_file main:app\n asgi_server uvicorn\n python "+python+"\n}")
		require.Equal(t, "/shop uvicorn", textOf(t, s, "/shop"))
	})
}
