package loaders_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

// workerSpec is a request for a worker of the application that a preloader has
// loaded.
func workerSpec(title string, options ...func(*spec)) *spec {
	s := &spec{request: loaderproto.Request{AppRoot: "/", ProcessTitle: title}}
	for _, o := range options {
		o(s)
	}

	return s
}

// preloaded is a preloader together with what has to be known of its
// application to check what every preloader has to do.
type preloaded struct {
	*preloader
	spec func() *spec
	// end is a path that ends the worker with status 7.
	end string
	// atExit is what a worker prints when it ends by itself.
	atExit string
	// pid asks a worker for its pid.
	pid func(*testing.T, *worker) int
}

// requireExits checks that the ends of workers are reported, and end nothing else.
func (p preloaded) requireExits(t *testing.T) {
	t.Helper()
	clean, failing, killed := p.spawn(t, p.spec()), p.spawn(t, p.spec()), p.spawn(t, p.spec())
	clean.requireCleanStop(t)
	require.Equal(t, loaderproto.WorkerExit{PID: clean.pid}, p.awaitExit(t, clean))
	require.Contains(t, clean.out.String(), fmt.Sprintf("stopping %d\n", clean.pid))
	require.Contains(t, clean.out.String(), fmt.Sprintf(p.atExit, clean.pid))

	s := failing.session(t)
	s.write(t, header(t, "GET", p.end, nil))
	require.Equal(t, loaderproto.WorkerExit{PID: failing.pid, Status: 7}, p.awaitExit(t, failing))

	require.NoError(t, killed.cmd.Process.Signal(syscall.SIGKILL))
	require.Equal(t, loaderproto.WorkerExit{PID: killed.pid, Status: -1, Signal: 9}, p.awaitExit(t, killed))

	// A worker that never gets its options ends too.
	abandoned := p.fork(t, p.spec())
	require.NoError(t, abandoned.stdio.Close())
	require.Equal(t, 1, p.awaitExit(t, abandoned).Status)
	abandoned.errors.await(t, "closed the connection before it had sent its request")

	w := p.spawn(t, p.spec())
	require.Equal(t, w.pid, p.pid(t, w))
}

// requireStops checks that workers survive the preloader, and that what the
// application does at exit is done by them alone.
func (p preloaded) requireStops(t *testing.T) {
	t.Helper()
	w := p.spawn(t, p.spec())
	p.requireCleanStop(t)
	require.NotContains(t, p.out.String(), fmt.Sprintf(p.atExit, p.cmd.Process.Pid))
	require.NotContains(t, p.out.String(), "stopping")
	require.Equal(t, w.pid, p.pid(t, w))
	w.requireCleanStop(t)
}

func (p preloaded) requireTerminates(t *testing.T) {
	t.Helper()
	w := p.spawn(t, p.spec())
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.exitCode(t)
	require.Equal(t, "signal: terminated", p.cmd.ProcessState.String())
	require.Equal(t, w.pid, p.pid(t, w))
}
