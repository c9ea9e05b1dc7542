package loaders_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/loaders"
)

func rackPreloaderSpec(t *testing.T, startupFile string, options ...func(*spec)) *spec {
	t.Helper()
	s := rackSpec(t, startupFile, append([]func(*spec){allPreloaderFeatures}, options...)...)
	s.argv[len(s.argv)-1] = absolute(t, loaders.RubyPreloader)

	return s
}

func startRackPreloader(t *testing.T, options ...func(*spec)) *preloader {
	t.Helper()
	return startPreloader(t, rackPreloaderSpec(t, absolute(t, "testdata/rackpreload/config.ru"), options...))
}

func rackWorkerSpec(options ...func(*spec)) *spec {
	return workerSpec("Passenger: Worker: /", options...)
}

func writeRackApp(t *testing.T, source string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.ru")
	require.NoError(t, os.WriteFile(file, []byte(source), 0o600))

	return file
}

func (p *process) getJSON(t *testing.T, uri string, into any) {
	t.Helper()
	body := p.get(t, uri).body
	require.NoError(t, json.Unmarshal([]byte(body), into), body)
}

type identity struct {
	PID          int
	LoadedBy     int `json:"loaded_by"`
	Group        int
	Session      int
	Events       [][]any
	ActiveRecord [][]any `json:"active_record"`
	Title        string
}

func TestRackPreloaderWorkers(t *testing.T) {
	t.Parallel()
	p := startRackPreloader(t)
	p.requireProtected(t)
	require.Equal(t, []string{loaderproto.FeatureWorkerStderr, loaderproto.FeatureWorkerExits}, p.ready.Features)
	preloaderPID := p.cmd.Process.Pid
	session, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", preloaderPID))
	require.NoError(t, err)
	title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", preloaderPID))
	require.NoError(t, err)
	require.Contains(t, string(title), "Passenger AppPreloader: "+absolute(t, "testdata/rackpreload"))

	seen := map[int]bool{}

	randoms := make([]string, 3)
	for i := range randoms {
		w := p.spawn(t, rackWorkerSpec(keepAlive))
		require.Equal(t, []string{loaderproto.FeatureSessionKeepAlive}, w.ready.Features)
		require.Len(t, w.ready.Sockets, 2)
		var id identity
		w.getJSON(t, "/identity", &id)
		require.Equal(t, w.pid, id.PID)
		require.Equal(t, preloaderPID, id.LoadedBy)
		require.Equal(t, w.pid, id.Group, "its own process group")
		require.Equal(t, strings.Fields(string(session))[5], fmt.Sprint(id.Session), "the preloader's session")
		require.Equal(t, [][]any{{"starting", true}, {"signal handlers"}}, id.Events)
		require.Contains(t, id.Title, "Passenger: Worker: /")

		var calls [][]any
		for range i + 1 {
			calls = append(calls, []any{"clear", float64(preloaderPID)})
		}

		require.Equal(t, append(calls, []any{"establish", float64(w.pid)}), id.ActiveRecord)
		require.False(t, seen[w.pid])
		seen[w.pid] = true

		require.Equal(t, "null", strings.ReplaceAll(w.get(t, "/complain").body, "true", "null"))
		w.errors.await(t, fmt.Sprintf("complaint of %d\n", w.pid))
		w.out.await(t, fmt.Sprintf("word of %d\n", w.pid))
		w.out.await(t, fmt.Sprintf("child of %d\n", w.pid))
		randoms[i] = w.get(t, "/random").body
	}

	for i, r := range randoms {
		var values, others []any
		require.NoError(t, json.Unmarshal([]byte(r), &values))
		require.NoError(t, json.Unmarshal([]byte(randoms[(i+1)%3]), &others))

		for j := range values {
			require.NotEqual(t, values[j], others[j])
		}
	}

	require.NotContains(t, p.out.String(), "complaint")
	require.NotContains(t, p.out.String(), "passenger_loader", "warnings of ruby -w")
}

func TestRackPreloaderWorkerIsLikeAnyOther(t *testing.T) {
	t.Parallel()
	p := startPreloader(t, rackPreloaderSpec(t, absolute(t, "testdata/rack/config.ru")))
	w := p.spawn(t, rackWorkerSpec(keepAlive))
	w.requireProtected(t)
	t.Run("keep alive", func(t *testing.T) { requireKeepAlive(t, w.process) })
	t.Run("control", func(t *testing.T) { requireControl(t, p.spawn(t, rackWorkerSpec(keepAlive)).process) })
	t.Run("client gone", func(t *testing.T) {
		requireClientGone(t, p.spawn(t, rackWorkerSpec(keepAlive)).process, "endless")
	})
}

func TestRackPreloaderDescriptors(t *testing.T) {
	t.Parallel()
	var direct, forked []string
	var flags []int
	start(t, rackSpec(t, absolute(t, "testdata/rackpreload/config.ru"))).getJSON(t, "/descriptors", &direct)

	p := startRackPreloader(t)
	half := p.dial(t)
	_, err := half.Write([]byte("spawn\nhalf of a command"))
	require.NoError(t, err)

	for range 2 {
		w := p.spawn(t, rackWorkerSpec())
		w.getJSON(t, "/descriptors", &forked)
		require.Equal(t, direct, forked)
		w.getJSON(t, "/flags", &flags)
		require.Equal(t, []int{0, 0, 0}, flags)
	}
}

// What is loaded has aged and moved before the first fork, so that it stays
// where it is, shared.
func TestRackPreloaderHeap(t *testing.T) {
	t.Parallel()

	p := startRackPreloader(t)
	for range 2 {
		var heap struct {
			Old         bool
			Compactions int
			CanCompact  bool `json:"can_compact"`
		}
		p.spawn(t, rackWorkerSpec()).getJSON(t, "/heap", &heap)
		require.True(t, heap.Old)
		if heap.CanCompact {
			require.Equal(t, 1, heap.Compactions)
		}
	}
}

// rackPreloaded is what preloaders of all languages have to do, in Ruby.
func rackPreloaded(t *testing.T) preloaded {
	t.Helper()

	return preloaded{
		preloader: startRackPreloader(t),
		spec:      func() *spec { return rackWorkerSpec() },
		end:       "/exit",
		atExit:    "at_exit of %d\n",
		pid: func(t *testing.T, w *worker) int {
			t.Helper()
			var id identity
			w.getJSON(t, "/identity", &id)

			return id.PID
		},
	}
}

func TestRackPreloaderExits(t *testing.T) {
	t.Parallel()
	rackPreloaded(t).requireExits(t)
}

func TestRackPreloaderStops(t *testing.T) {
	t.Parallel()
	rackPreloaded(t).requireStops(t)
	p := rackPreloaded(t)
	p.requireTerminates(t)
	require.NoFileExists(t, p.ready.Address.Addr)
}

func TestRackPreloaderFailures(t *testing.T) {
	t.Parallel()
	p, err := startPreloaderFailure(t, rackPreloaderSpec(t,
		writeRackApp(t, "at_exit { puts 'at_exit' }\nraise 'no: database'")))
	require.Equal(t, loaderproto.AppError, err.Kind)
	require.Contains(t, err.Message.Text, "no: database (RuntimeError)")
	require.Equal(t, 1, p.exitCode(t))
	require.NotContains(t, p.out.String(), "at_exit")

	_, err = startPreloaderFailure(t, rackPreloaderSpec(t, absolute(t, "testdata/rackpreload/config.ru"), tcpOnly))
	require.Contains(t, err.Message.Text, "socket_dir")

	// What fails in the worker is the worker's failure.
	works := startPreloader(t, rackPreloaderSpec(t, writeRackApp(t, `
module ActiveRecord
  AdapterNotSpecified = Class.new(StandardError)
  Base = Object.new
  def Base.clear_all_connections! = nil
  def Base.establish_connection = raise(AdapterNotSpecified)
end
run ->(env) { [200, {}, ["no database"]] }`)))
	require.Equal(t, "no database", works.spawn(t, rackWorkerSpec()).get(t, "/").body)
	fails := startPreloader(t, rackPreloaderSpec(t, writeRackApp(t, `
module ActiveRecord
  Base = Object.new
  def Base.clear_all_connections! = nil
  def Base.establish_connection = raise("the database is gone")
end
run ->(env) {}`)))
	w, err := fails.spawnFailure(t, rackWorkerSpec())
	require.Contains(t, err.Message.Text, "the database is gone")
	require.Equal(t, 1, fails.awaitExit(t, w).Status)

	// A fork that fails is reported, and the preloader runs on.
	p = startPreloader(t, rackPreloaderSpec(t, writeRackApp(t, `
def Process.fork; raise Errno::EAGAIN; end
run ->(env) {}`)))
	for range 2 {
		conn := p.dial(t)
		require.NoError(t, loaderproto.SendSpawnCommand(conn, &rackWorkerSpec().request))
		_, _, replyErr := loaderproto.ReadSpawnReply(conn)
		require.ErrorAs(t, replyErr, &err)
		require.Equal(t, loaderproto.AppError, err.Kind)
		require.Contains(t, err.Message.Text, "cannot fork")
	}

	// So is one after which there is no thread that waits for the worker, which would hold the reply open.
	p = startPreloader(t, rackPreloaderSpec(t, writeRackApp(t, `
def Thread.new(*) = raise(ThreadError, "can't create Thread: Resource temporarily unavailable")
run ->(env) {}`)))
	for range 2 {
		conn := p.dial(t)
		require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
		require.NoError(t, loaderproto.SendSpawnCommand(conn, &rackWorkerSpec().request))
		_, _, replyErr := loaderproto.ReadSpawnReply(conn)
		require.ErrorAs(t, replyErr, &err)
		require.Equal(t, loaderproto.AppError, err.Kind)
		require.Contains(t, err.Message.Text, "cannot fork: can't create Thread")
	}
}

func TestRackPreloaderCommands(t *testing.T) {
	t.Parallel()

	p := startRackPreloader(t)
	for command, complaint := range map[string]string{
		"stop\n":                              `"stop" is unknown`,
		"sp\nawn\n\n":                         `"sp" is unknown`,
		"\n":                                  "is unknown",
		"\x00\xff\n":                          "is unknown",
		"spawn\n" + strings.Repeat("x", 70e3): "it is longer than 65536 bytes",
		"spawn\n\n" + "spawn\n\n":             "something follows it",
	} {
		conn := p.dial(t)
		_, err := conn.Write([]byte(command))
		require.NoError(t, err)
		requireRefused(t, conn)
		p.out.await(t, complaint)
	}

	conn := p.dial(t)
	_, err := conn.Write([]byte("spawn\napp_root: /"))
	require.NoError(t, err)
	require.NoError(t, conn.CloseWrite())
	requireRefused(t, conn)
	p.out.await(t, "it ended too early")

	// Silent ones hold up no other, and wait only so long.
	silent := p.dial(t)
	p.spawn(t, rackWorkerSpec())
	requireRefused(t, silent)
	p.out.await(t, "nothing more of it came in time")
	p.spawn(t, rackWorkerSpec())
}

func requireRefused(t *testing.T, conn net.Conn) {
	t.Helper()
	b, err := io.ReadAll(conn)
	if err != nil {
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}

	require.Empty(t, b)
}

// A worker that gets no descriptor of its own, or too many, keeps the
// preloader's stderr.
func TestRackPreloaderStderr(t *testing.T) {
	t.Parallel()
	without := startRackPreloader(t, func(s *spec) { s.request.Features = []string{"another_one"} })
	require.Empty(t, without.ready.Features)
	w := without.spawn(t, rackWorkerSpec())
	w.get(t, "/complain")
	without.out.await(t, fmt.Sprintf("complaint of %d\n", w.pid))
	w.requireCleanStop(t)
	require.NotContains(t, without.out.String(), "worker_exit")

	with := startRackPreloader(t)
	for p, count := range map[*preloader]int{without: 1, with: 2} {
		r, theirs, err := os.Pipe()
		require.NoError(t, err)
		conn := &withDescriptors{UnixConn: p.dial(t), files: []*os.File{theirs, theirs}[:count]}
		s := rackWorkerSpec()
		require.NoError(t, loaderproto.SendSpawnCommand(conn, &s.request))
		_, _, err = loaderproto.ReadSpawnReply(conn.UnixConn)
		require.NoError(t, err)
		require.NoError(t, theirs.Close())
		b, err := io.ReadAll(r)
		require.NoError(t, err, "no process keeps the descriptors")
		require.Empty(t, b)
		require.NoError(t, r.Close())
		require.NoError(t, conn.CloseWrite())
		p.out.await(t, "closed the connection before")
	}
}

// The thread that saves memory is not worth a request, where the user's limit on processes is reached.
// Faults: F9.
func TestRackWorkerServesWithoutAThread(t *testing.T) {
	t.Parallel()

	file := writeRackApp(t, `PhusionPassenger.on_event(:starting_worker_process) do
  def Thread.new(*) = raise(ThreadError, "can't create Thread: Resource temporarily unavailable")
end

run lambda { |env| [200, {}, ["on the main thread: #{Thread.current == Thread.main}"]] }
`)
	p := startPreloader(t, rackPreloaderSpec(t, file))
	w := p.spawn(t, rackWorkerSpec())
	require.Equal(t, "on the main thread: true", w.get(t, "/").body)
}
