package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// TestProgramsEndWhenServerIsKilled kills watchdog and core at once: programs that
// know nothing of us end, with what they have started.
func TestProgramsEndWhenServerIsKilled(t *testing.T) {
	t.Parallel()

	const python = "python3 -m http.server --bind 127.0.0.1 $PORT"
	for _, program := range []struct{ name, language, executable, command string }{
		{"php", "php", "php", "php -S 127.0.0.1:$PORT"},
		{"python", "python", "python3", python},
		{"below a shell", "python", "python3", "cd . && { sleep 1000 & } && " + python + " | cat"},
		{"in a session of its own", "python", "python3", "setsid sleep 1000 & " + python},
	} {
		t.Run(program.name, func(t *testing.T) {
			t.Parallel()
			interpreters.Find(t, program.language, program.executable)

			dir := t.TempDir()
			for _, name := range []string{"a", "index.php"} {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("hello"), 0o600))
			}

			s := start(t, &launch{dir: dir, args: []string{"--start-command", program.command}})
			require.Equal(t, "hello", s.client(t).get(t, "/a").body)

			core := s.core(t)
			s.signal(t, syscall.SIGSTOP) // it must not see the end of the other
			require.NoError(t, syscall.Kill(core, syscall.SIGKILL))
			s.requireNothingLeftOnceKilled(t)
		})
	}
}

// requireNothingLeftOnceKilled kills the server's first process, and waits until nothing that it has started is left.
func (s *server) requireNothingLeftOnceKilled(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGKILL)
	<-s.Ended

	s.Judged = true
	eventually(t, func() error {
		if left := s.Processes(); len(left) > 0 {
			return fmt.Errorf("processes are left: %v", left)
		}

		return nil
	})
}

// TestMemoryLimitCountsWhatAProgramHasStarted has the memory in a child of the
// process.
func TestMemoryLimitCountsWhatAProgramHasStarted(t *testing.T) {
	t.Parallel()
	interpreters.Find(t, "python", "python3")
	dir := t.TempDir()
	const program = `
import http.server, os, sys, time
if os.fork() == 0:
    hold = bytearray(os.urandom(1 << 20)) * (200 if not os.path.exists("once") else 1)
    open("once", "w").close()
    while os.getppid() != 1:
        time.sleep(0.1)
    sys.exit()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "serve.py"), []byte(program), 0o600))
	s := start(t, &launch{dir: dir, args: []string{"--start-command", "python3 serve.py", "--memory-limit", "150"}})
	first := s.client(t).get(t, "/").body
	eventually(t, func() error {
		if now := s.client(t).get(t, "/").body; now == first {
			return fmt.Errorf("process %s has not been replaced", now)
		}

		return nil
	})
	require.Contains(t, s.Stderr.String(), "replacing a process that uses too much memory")
}
