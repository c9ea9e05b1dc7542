package e2e_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A core that gets no more memory ends, and is replaced at once: no connection is refused, each client loses one
// request at most, and the log says why.
// Faults: F5.
func TestCoreWithoutMemoryIsReplaced(t *testing.T) {
	t.Parallel()
	const clients, more = 4, 16 << 20
	s := start(t, &launch{dir: t.TempDir(), args: testApp(t)})
	s.client(t).get(t, "/")
	core := s.core(t)
	var pages int
	statm, err := os.ReadFile(s.proc(t, "statm"))
	require.NoError(t, err)
	_, err = fmt.Sscan(string(statm), &pages)
	require.NoError(t, err)
	var limit unix.Rlimit
	require.NoError(t, unix.Prlimit(core, unix.RLIMIT_AS, nil, &limit))
	limit.Cur = min(limit.Max, uint64(pages*os.Getpagesize()+more))
	require.NoError(t, unix.Prlimit(core, unix.RLIMIT_AS, &limit, nil))

	// The last of the three is a new thread's stack, which the C library asks for.
	log := s.requireCoreReplaced(t, core, clients)
	require.Regexp(t, "out of memory|cannot allocate memory|"+
		"pthread_create failed: Resource temporarily unavailable", log)
}

// The same for one that the kernel kills because its cgroup is out of memory.
// Faults: F5.
func TestCoreKilledByTheOOMKillerIsReplaced(t *testing.T) {
	t.Parallel()
	const clients, limit = 4, 32 << 20
	group := newCgroup(t, limit)
	s := start(t, &launch{dir: t.TempDir(), args: testApp(t)})
	s.client(t).get(t, "/")
	core := s.core(t)
	require.NoError(t, os.WriteFile(filepath.Join(group, "cgroup.procs"), fmt.Append(nil, core), 0o600))
	require.Contains(t, s.requireCoreReplaced(t, core, clients), "signal: killed")
	events, err := os.ReadFile(filepath.Join(group, "memory.oom_control"))
	if err != nil {
		events, err = os.ReadFile(filepath.Join(group, "memory.events"))
	}

	require.NoError(t, err)
	require.Contains(t, string(events), "oom_kill 1\n")
}

// A server whose control group has less memory than the machine uses no more than that, however much its clients send.
func TestServerKeepsWithinTheMemoryOfItsControlGroup(t *testing.T) {
	t.Parallel()
	const limit, bodies = 192 << 20, 2000
	// The memory of a file system in memory would be the group's.
	buffers, err := os.MkdirTemp("/var/tmp", "passenger-test") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(buffers)) })
	procs := filepath.Join(newCgroup(t, limit), "cgroup.procs")

	s := start(t, &launch{
		dir:  t.TempDir(),
		args: append(testApp(t), "--data-buffer-dir", buffers),
		change: func(cmd *exec.Cmd) {
			cmd.Args = append([]string{"sh", "-c", `echo $$ >"$0" && exec "$@"`, procs, cmd.Path}, cmd.Args[1:]...)
			cmd.Path = "/bin/sh"
		},
	})
	core := s.core(t)

	for range bodies {
		defer s.sendHalfABody(t).Close()
	}

	require.Equal(t, "app: GET /", s.client(t).get(t, "/").body)
	require.Equal(t, core, s.core(t), "%s", s.Stderr.String())
}

// requireCoreReplaced lets the core want more memory than it gets while clients ask,
// and returns the log. Each of the clients may lose a request.
func (s *server) requireCoreReplaced(t testing.TB, core, clients int) (log string) {
	t.Helper()
	l := s.load(t, clients, askOnce)
	s.uploadUntilReplaced(t, core)
	l.Progress(t, 10*clients)
	l.Stop()
	require.LessOrEqual(t, l.Lost.Load(), int64(clients))
	require.Equal(t, "app: GET /", s.client(t).get(t, "/").body)
	s.requireApps(t, 1)
	s.Stderr.Await(t, "an agent serves again", 1, s.Ended)
	log = s.Stderr.String()
	require.Equal(t, 1, strings.Count(log, "an agent has died, and is started again"))
	s.signal(t, syscall.SIGTERM)
	s.requireExit(t, 0)

	return log
}

// uploadUntilReplaced sends bodies that the core keeps in memory, and that do not
// come to their ends, until there is another core.
func (s *server) uploadUntilReplaced(t testing.TB, core int) {
	t.Helper()

	for i := range 3000 {
		defer s.sendHalfABody(t).Close()

		if i%50 == 0 && s.core(t) != core {
			return
		}
	}

	require.FailNow(t, "the core has memory enough")
}

// sendHalfABody sends a request whose body is small enough for memory and not complete.
func (s *server) sendHalfABody(t testing.TB) net.Conn {
	t.Helper()
	const size = 120 << 10
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)

	_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 2*size,
		strings.Repeat("x", size)) // the core may be ending

	return conn
}
