package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/internal/test/interpreters"
)

const goSource = `package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "TEXT ", os.Args[0]) })))
}
`

// A program of Go needs no build before, and is the process itself.
func TestProgramsOfGoAreBuiltAtTheirStart(t *testing.T) {
	t.Parallel()

	path := interpreters.Find(t, "go", "go")
	cache, err := exec.Command(path, "env", "GOCACHE").Output()
	require.NoError(t, err)

	dir, home := t.TempDir(), t.TempDir()
	write := func(text string) {
		source := strings.ReplaceAll(goSource, "TEXT", text)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "cmd/shop/main.go"), []byte(source), 0o600))
	}

	require.NoError(t, os.MkdirAll(filepath.Join(dir, "cmd/shop"), 0o755))
	const module = "module example.com/site\n\ngo 1.22\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(module), 0o600))
	args := []string{
		"--envvar", "HOME=" + home, "--envvar", "XDG_CACHE_HOME=", "--envvar", "GOFLAGS=-p=1",
		"--envvar", "GOTOOLCHAIN=local", "--envvar", "GOCACHE=" + strings.TrimSpace(string(cache)),
	}

	// The second build finds what the first has made, and the third something else.
	for _, want := range []string{"first", "first", "second"} {
		write(want)

		s := start(t, &launch{dir: dir, args: args})
		text, program, _ := strings.Cut(s.client(t).get(t, "/").body, " ")
		require.Equal(t, want, text)
		require.Equal(t, "shop", filepath.Base(program))
		require.True(t, strings.HasPrefix(program, home+"/.cache/passenger/go-"), program)

		left, err := filepath.Glob(filepath.Join(filepath.Dir(program), "*"))
		require.NoError(t, err)
		require.Equal(t, []string{program}, left)
		require.Contains(t, s.Stderr.String(), "as=Go")

		s.signal(t, syscall.SIGTERM)
		s.requireExit(t, 0)
	}
}

// One that was built is started as it is, and may speak the handshake.
func TestProgramsOfGoThatWereBuiltAreStarted(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/site\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n"), 0o600))

	program, err := os.ReadFile(filepath.Join(built, "goexample"))
	require.NoError(t, err)
	require.NoError(t, boxed.WriteProgram(filepath.Join(dir, "site"), program, 0o755))

	s := start(t, &launch{dir: dir})
	require.NotEmpty(t, s.client(t).get(t, "/").body)
	require.Contains(t, s.Stderr.String(), "there are go.mod and the program site")
}
