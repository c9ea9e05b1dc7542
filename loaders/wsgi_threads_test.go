package loaders_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func fourThreads(s *spec) { s.request.ThreadCount = 4 }

func startWSGIProcess(t *testing.T, options ...func(*spec)) *process {
	t.Helper()
	return start(t, wsgiSpec(t, python(t), absolute(t, "testdata/wsgiprocess/passenger_wsgi.py"), options...))
}

// requireMeeting checks that the process serves four requests at once: the
// application responds to none before it has four.
func requireMeeting(t *testing.T, p *process) {
	t.Helper()
	require.Equal(t, 4, p.address(t).Concurrency)

	sessions := make([]*session, 4)
	for i := range sessions {
		sessions[i] = p.session(t)
	}

	for range 3 {
		for _, s := range sessions {
			s.write(t, header(t, "GET", "/meet", nil))
		}

		for _, s := range sessions {
			require.JSONEq(t, `"met"`, s.read(t, "GET").body)
		}
	}

	for _, s := range sessions {
		require.NoError(t, s.Close())
	}
}

func TestWSGIThreads(t *testing.T) {
	t.Parallel()
	p := startWSGIProcess(t, keepAlive, fourThreads)

	// Idle connections hold no thread.
	for range 10 {
		require.JSONEq(t, `"body"`, p.session(t).post(t, "/echo", "body").body)
	}

	requireMeeting(t, p)
	id := p.wsgiIdentity(t)
	require.True(t, id.Multithread)
	require.Equal(t, 4, id.MostAtOnce)
	require.Equal(t, 5, id.Threads)
	p.requireCleanStop(t)
}

// More requests than threads wait for their turn.
func TestWSGIThreadsManyRequests(t *testing.T) {
	t.Parallel()
	p := startWSGIProcess(t, keepAlive, fourThreads)

	sessions := make([]*session, 16)
	for i := range sessions {
		sessions[i] = p.session(t)
	}

	var wg sync.WaitGroup
	for i, s := range sessions {
		wg.Go(func() {
			for n := range 50 {
				one, two := fmt.Sprintf("%q", fmt.Sprint(i, n)), `"two"`
				s.write(t, header(t, "POST", "/echo", vars{"CONTENT_LENGTH": strconv.Itoa(len(one) - 2)}),
					[]byte(one[1:len(one)-1]),
					header(t, "POST", "/echo", vars{"CONTENT_LENGTH": "3"}), []byte("two"))

				for _, want := range []string{one, two} {
					if r := s.read(t, "POST"); r.body != want {
						t.Errorf("got %q instead of %q", r.body, want)
					}
				}
			}
		})
	}

	wg.Wait()
	require.LessOrEqual(t, p.wsgiIdentity(t).MostAtOnce, 4)
	p.requireCleanStop(t)
}

func TestWSGIOneThread(t *testing.T) {
	t.Parallel()
	p := startWSGIProcess(t, keepAlive, func(s *spec) { s.request.ThreadCount = 1 })
	require.Equal(t, 1, p.address(t).Concurrency)
	id := p.wsgiIdentity(t)
	require.Equal(t, 1, id.Threads)
	require.False(t, id.Multithread)
}

func TestWSGIThreadsGracefulStop(t *testing.T) {
	t.Parallel()
	fifos := t.TempDir()
	p := startWSGIProcess(t, keepAlive, fourThreads)

	sessions := map[string]*session{}
	for _, name := range []string{"a", "b", "c"} {
		fifo := filepath.Join(fifos, name)
		require.NoError(t, syscall.Mkfifo(fifo, 0o600))
		sessions[fifo] = p.session(t)
		sessions[fifo].write(t, header(t, "GET", "/wait?"+fifo, nil))
	}

	p.out.await(t, strings.Repeat("waiting\n", len(sessions)))
	p.closeStdin(t)

	for fifo, s := range sessions {
		require.NoError(t, os.WriteFile(fifo, []byte("finished"), 0o600))
		require.JSONEq(t, `"finished"`, s.read(t, "GET").body)
	}

	require.Zero(t, p.exitCode(t))
	require.Contains(t, p.out.String(), "stopping")
}

// An application that ends its process from a thread ends it, as it would
// without threads; other requests are finished.
func TestWSGIThreadsExit(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	p := startWSGIProcess(t, keepAlive, fourThreads)
	waiting, ending := p.session(t), p.session(t)
	waiting.write(t, header(t, "GET", "/wait?"+fifo, nil))
	p.out.await(t, "waiting")
	ending.write(t, header(t, "GET", "/end", nil))
	ending.requireClosed(t)
	require.NoError(t, os.WriteFile(fifo, []byte("finished"), 0o600))
	require.JSONEq(t, `"finished"`, waiting.read(t, "GET").body)
	require.Equal(t, 7, p.exitCode(t))
}

func startThreadedWSGI(t *testing.T) *process {
	t.Helper()
	return startWSGI(t, keepAlive, fourThreads)
}

func TestWSGIThreadsKeepAlive(t *testing.T) { requireKeepAlive(t, startThreadedWSGI(t)) }

func TestWSGIThreadsRequestsAreSeparate(t *testing.T) {
	requireSeparateRequests(t, startThreadedWSGI(t))
}
func TestWSGIThreadsControl(t *testing.T) { requireControl(t, startThreadedWSGI(t)) }

// Faults: R-19.
func TestWSGIThreadsRefuseWrongPasswords(t *testing.T) { requirePassword(t, startThreadedWSGI(t)) }

func TestWSGIThreadsDirect(t *testing.T) { requireDirectAccess(t, startThreadedWSGI(t)) }

// As requireClientGone, but the others are served meanwhile.
func TestWSGIThreadsClientGone(t *testing.T) {
	t.Parallel()

	p := startThreadedWSGI(t)
	for _, uri := range []string{"/endless", "/endless", "/echo", "/echo", "/echo", "/echo"} {
		s := p.session(t)
		s.write(t, header(t, "POST", uri, vars{"CONTENT_LENGTH": "100"}), []byte("x"))
		if uri == "/endless" {
			_, err := s.br.ReadByte()
			require.NoError(t, err)
		}

		require.NoError(t, s.Close())
	}

	require.Eventually(t, func() bool { return p.get(t, "/which_closed").body == `["endless", "endless"]` },
		deadline, 10*time.Millisecond)

	for _, mistake := range []string{"Error", "Traceback", "client"} {
		require.NotContains(t, p.out.String(), mistake)
	}

	p.requireCleanStop(t)
}

// An application may set how long its own sockets wait: its requests come by others.
func TestWSGIDefaultTimeoutOfSockets(t *testing.T) {
	t.Parallel()

	for _, threads := range []int{1, 2} {
		file := filepath.Join(t.TempDir(), "passenger_wsgi.py")
		require.NoError(t, os.WriteFile(file, []byte(`import socket
socket.setdefaulttimeout(0.001)

def application(environ, start_response):
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()]
`), 0o600))
		p := start(t, wsgiSpec(t, python(t), file, keepAlive, func(s *spec) { s.request.ThreadCount = threads }))

		// It is accepted before the second one, and has nothing to read.
		silent := p.session(t)
		require.Equal(t, "body", p.session(t).post(t, "/", "body").body)
		require.Equal(t, "body", silent.post(t, "/", "body").body)
	}
}
