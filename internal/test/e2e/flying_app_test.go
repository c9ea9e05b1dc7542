package e2e_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/loaders/goapp"
)

// tenantVar makes the test binary an application among others; its value is its
// name.
const tenantVar = "E2E_TENANT"

// tenantEcho is what an application sees of a request.
type tenantEcho struct {
	Name          string
	PID, UID, GID int
	Method        string
	Target        string
	Host, Remote  string
	HTTPS         string
	Header        http.Header
	Env           map[string]string
	Length        int64
	Sum           string
}

func playTenant() (status int) {
	err := goapp.Serve(http.HandlerFunc(serveTenant))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}

	return 0
}

func serveTenant(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if strings.HasPrefix(path, "/cable/") {
		path = "/cable"
	}

	switch path {
	case "/print":
		fmt.Println(r.URL.RawQuery)
	case "/cable":
		w.Header().Set("X-Target", r.RequestURI)

		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}

		for {
			kind, data, err := conn.Read(r.Context())
			if err != nil || conn.Write(r.Context(), kind, data) != nil {
				return
			}
		}
	case "/accel":
		w.Header().Set("X-Accel-Redirect", r.URL.RawQuery)
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: first\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	default:
		e := tenantEcho{
			Name:   os.Getenv(tenantVar),
			PID:    os.Getpid(),
			UID:    os.Getuid(),
			GID:    os.Getgid(),
			Method: r.Method,
			Target: r.RequestURI,
			Host:   r.Host,
			Remote: r.RemoteAddr,
			Header: r.Header,
			Env:    goapp.Env(r),
		}
		sum := sha256.New()
		e.Length, _ = io.Copy(sum, r.Body) // what is missing shows by its length
		e.Sum = fmt.Sprintf("%x", sum.Sum(nil))
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(e)
	}
}

// tenantBinary is the test binary where every user can execute it.
var tenantBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(built, "tenant")
	return path, boxed.CopySelf(path)
})

// tenant is an application that belongs to a user.
type tenant struct {
	name, root string
	// options are further ones, by their names in Passenger's documentation.
	options map[string]string
}

// goTenant returns the test binary as an application of uid.
func (s *sandbox) goTenant(t testing.TB, name string, uid int) *tenant {
	t.Helper()
	path, err := tenantBinary()
	require.NoError(t, err)
	command, err := json.Marshal([]string{path})
	require.NoError(t, err)

	return &tenant{name: name, root: s.tenantDir(t, name, uid, nil), options: map[string]string{
		"app_start_command": string(command),
		"env_vars":          s.markedEnv(t, map[string]string{tenantVar: name, "GORACE": "atexit_sleep_ms=0"}),
	}}
}

// markedEnv is an option with variables and the box's marker, which the applications of
// other users do not inherit.
func (s *sandbox) markedEnv(t testing.TB, env map[string]string) string {
	t.Helper()
	marker, value, _ := strings.Cut(s.Marker, "=")
	env[marker] = value
	text, err := json.Marshal(env)
	require.NoError(t, err)

	return string(text)
}

const wsgiTenant = `
import json, os

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    name = os.path.basename(os.getcwd())
    return [json.dumps({"Name": name, "PID": os.getpid(), "UID": os.getuid(), "GID": os.getgid(),
        "Method": environ["REQUEST_METHOD"], "Target": environ["REQUEST_URI"], "Host": environ["HTTP_HOST"],
        "HTTPS": environ.get("HTTPS", "")}).encode()]
`

// pythonTenant returns an application in Python of uid.
func (s *sandbox) pythonTenant(t testing.TB, name string, uid int) *tenant {
	t.Helper()
	python := interpreters.Find(t, "python", "/usr/bin/python3", "python3")

	return &tenant{
		name: name, root: s.tenantDir(t, name, uid, map[string]string{"passenger_wsgi.py": wsgiTenant}),
		options: map[string]string{"python": python, "env_vars": s.markedEnv(t, map[string]string{})},
	}
}

func (s *sandbox) tenantDir(t testing.TB, name string, uid int, files map[string]string) string {
	t.Helper()
	root := filepath.Join(s.Dir, name)
	paths := make([]string, 0, 2+len(files))

	paths = append(paths, root)
	for _, dir := range []string{root, filepath.Join(root, "public"), filepath.Join(root, "public", "assets")} {
		require.NoError(t, os.Mkdir(dir, 0o755))
	}

	if files == nil {
		files = map[string]string{}
	}

	files["public/assets/a.txt"] = "an asset of " + name
	for file, content := range files {
		path := filepath.Join(root, file)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
		paths = append(paths, path)
	}

	if syscall.Geteuid() == 0 {
		for _, path := range paths {
			require.NoError(t, os.Chown(path, uid, -1))
		}
	}

	return root
}
