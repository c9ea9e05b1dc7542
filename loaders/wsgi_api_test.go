package loaders_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/sessionproto"
)

func writeFIFO(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func (p *process) oobw(t *testing.T) {
	t.Helper()
	b, err := sessionproto.OOBW(password)
	require.NoError(t, err)
	s := p.session(t)
	s.write(t, b)
	require.Equal(t, sessionproto.OOBWReply, s.raw(t))
}

func TestWSGIEvents(t *testing.T) {
	t.Parallel()
	p := startWSGIProcess(t)
	id := p.wsgiIdentity(t)
	require.Equal(t, [][]any{{"starting", false, float64(id.PID)}, {"thread"}}, id.Events)
	require.Empty(t, id.Reseeded)
	require.Zero(t, id.Frozen)
	p.out.await(t, "a callback for the event starting_worker_process failed")
	p.out.await(t, "RuntimeError: the callback fails")
	p.requireCleanStop(t)
	require.Contains(t, p.out.String(), "stopping")
	require.Contains(t, p.out.String(), "atexit of")
}

func TestWSGIOutOfBandWork(t *testing.T) {
	t.Parallel()

	for _, option := range []func(*spec){keepAlive, fourThreads} {
		p := startWSGIProcess(t, option)
		s := p.session(t)
		s.write(t, header(t, "GET", "/work_later", nil))
		require.Contains(t, s.rawResponse(t), "\r\n!~Request-OOB-Work: true\r\n")
		s = p.session(t)
		s.write(t, header(t, "GET", "/environment?own_header", nil))
		require.Contains(t, s.rawResponse(t), "\r\n!~Request-OOB-Work: mine\r\n")
		s = p.session(t)
		s.write(t, header(t, "GET", "/environment", nil))
		require.NotContains(t, s.rawResponse(t), "OOB")

		before := p.wsgiIdentity(t)
		p.oobw(t)
		p.oobw(t)
		require.Equal(t, [][]any{{"oob_work", float64(before.Threads)}, {"oob_work", float64(before.Threads)}},
			p.wsgiIdentity(t).Events[2:])

		// No client gets such a header.
		r := p.directGet(t, "/work_later")
		require.Equal(t, 200, r.StatusCode)
		require.NotContains(t, strings.Join(headerNames(r), " "), "OOB")
		require.NotContains(t, strings.Join(headerNames(p.directGet(t, "/environment?own_header")), " "), "OOB")
	}
}

func headerNames(r reply) (names []string) {
	for name := range r.Header {
		names = append(names, strings.ToUpper(name))
	}

	return names
}

// rawResponse reads the head of a response.
func (s *session) rawResponse(t *testing.T) string {
	t.Helper()

	var head strings.Builder
	for {
		line, err := s.br.ReadString('\n')
		require.NoError(t, err)
		head.WriteString(line)
		if line == "\r\n" {
			return head.String()
		}
	}
}

// The middleware asks for work after each so many requests, and collects
// garbage then.
func TestWSGIOutOfBandGC(t *testing.T) {
	t.Parallel()
	p := start(t, wsgiSpec(t, python(t), writeWSGIApp(t, `
import gc, weakref
import phusion_passenger
gc.disable()
class Node: pass
nodes = []
def serve(env, start_response):
    if env["PATH_INFO"] == "/leave":
        node = Node()
        node.itself = node
        nodes.append(weakref.ref(node))
    start_response("200 OK", [])
    return [str(sum(node() is not None for node in nodes)).encode()]
application = phusion_passenger.OutOfBandGC(serve, frequency=3)
`), keepAlive))

	s := p.session(t)
	for i := range 9 {
		s.write(t, header(t, "GET", "/leave", nil))
		head := s.rawResponse(t)
		_, err := s.br.ReadByte()
		require.NoError(t, err)
		require.Equal(t, i%3 == 2, strings.Contains(head, "!~Request-OOB-Work: true"), "request %d", i+1)
	}

	require.Equal(t, "9", s.get(t, "/").body)
	p.oobw(t)
	require.Equal(t, "0", s.get(t, "/").body)
}

func TestWSGIAdvertisedConcurrency(t *testing.T) {
	t.Parallel()

	for level, want := range map[string]int{"0": 0, "7": 7} {
		p := startWSGIProcess(t, fourThreads, func(s *spec) { s.env = []string{"LEVEL=" + level} })
		require.Len(t, p.ready.Sockets, 2)

		for _, s := range p.ready.Sockets {
			require.Equal(t, want, s.Concurrency)
		}
	}

	for _, level := range []string{"-1", `"many"`, "1.5"} {
		p, err := startFailure(t, wsgiSpec(t, python(t), absolute(t, "testdata/wsgiprocess/passenger_wsgi.py"),
			func(s *spec) {
				s.env = []string{"LEVEL=" + level}
			}))
		require.Contains(t, err.Message.Text, "advertised_concurrency_level")
		require.Equal(t, 1, p.exitCode(t))
		left, e := os.ReadDir(p.socketDir)
		require.NoError(t, e)
		require.Empty(t, left)
	}
}

func TestWSGIMistakes(t *testing.T) {
	t.Parallel()

	for source, want := range map[string]string{
		`phusion_passenger.on_event("starting", print)`: "choose one of oob_work, " +
			"starting_worker_process, stopping_worker_process",
		`phusion_passenger.on_event("oob_work", 5)`:                    "is not callable",
		`phusion_passenger.OutOfBandGC(print, 0)`:                      "at least 1",
		`phusion_passenger.request_oob_work({"wsgi.version": (1, 0)})`: "not the environment of a request",
	} {
		_, err := startFailure(t, wsgiSpec(t, python(t), writeWSGIApp(t, "import phusion_passenger\n"+source)))
		require.Equal(t, loaderproto.AppError, err.Kind)
		require.Contains(t, err.Message.Text, want)
	}
}
