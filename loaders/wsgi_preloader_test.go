package loaders_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/loaders"
)

func wsgiPreloaderSpec(t *testing.T, interpreter, startupFile string, options ...func(*spec)) *spec {
	t.Helper()
	s := wsgiSpec(t, interpreter, startupFile, append([]func(*spec){allPreloaderFeatures}, options...)...)
	s.argv[len(s.argv)-1] = absolute(t, loaders.PythonPreloader)

	return s
}

func startWSGIPreloader(t *testing.T, options ...func(*spec)) *preloader {
	t.Helper()
	return startPreloader(t, wsgiPreloaderSpec(t, python(t), absolute(t, "testdata/wsgiprocess/passenger_wsgi.py"),
		options...))
}

func wsgiWorkerSpec(options ...func(*spec)) *spec {
	return workerSpec("Worker", options...) // the kernel keeps 15 bytes
}

func writeWSGIApp(t *testing.T, source string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "passenger_wsgi.py")
	require.NoError(t, os.WriteFile(file, []byte(source), 0o600))

	return file
}

// wsgiIdentity is what the application in testdata/wsgiprocess tells of its
// process.
type wsgiIdentity struct {
	PID           int
	LoadedBy      int `json:"loaded_by"`
	Group         int
	Session       int
	Events        [][]any
	Reseeded      []int
	Random        float64
	GC            bool
	Frozen        int
	Threads       int
	Multithread   bool
	MostAtOnce    int  `json:"most_at_once"`
	SignalHandler bool `json:"signal_handler"`
}

func (p *process) wsgiIdentity(t *testing.T) (id wsgiIdentity) {
	t.Helper()
	p.getJSON(t, "/identity", &id)
	return id
}

// commandLine is what ps shows of a process.
func commandLine(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	require.NoError(t, err)

	return strings.TrimRight(string(b), "\x00 ")
}

func TestWSGIPreloaderWorkers(t *testing.T) {
	t.Parallel()
	p := startWSGIPreloader(t, func(s *spec) { s.request.ProcessTitle = "App" })
	p.requireProtected(t)
	require.Equal(t, []string{loaderproto.FeatureWorkerStderr, loaderproto.FeatureWorkerExits}, p.ready.Features)
	require.Equal(t, "Passenger AppPreloader: "+absolute(t, "testdata/wsgiprocess"), commandLine(t, p.cmd.Process.Pid))
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	require.NoError(t, err)
	session := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')'):]))[4]

	pids, randoms := map[int]bool{}, map[float64]bool{}
	for range 3 {
		w := p.spawn(t, wsgiWorkerSpec(keepAlive))
		require.Equal(t, []string{loaderproto.FeatureSessionKeepAlive}, w.ready.Features)
		w.requireProtected(t)
		require.Equal(t, "Worker: /", commandLine(t, w.pid))
		id := w.wsgiIdentity(t)
		require.Equal(t, w.pid, id.PID)
		require.Equal(t, p.cmd.Process.Pid, id.LoadedBy)
		require.Equal(t, w.pid, id.Group, "its own process group")
		require.Equal(t, session, strconv.Itoa(id.Session), "the preloader's session")
		require.Equal(t, [][]any{{"starting", true, float64(w.pid)}, {"thread"}}, id.Events)
		require.Equal(t, []int{w.pid}, id.Reseeded, "numpy's random numbers")
		require.True(t, id.GC)
		require.Positive(t, id.Frozen)
		require.Equal(t, 1, id.Threads)
		require.True(t, id.SignalHandler, "that of the application")
		pids[id.PID], randoms[id.Random] = true, true

		w.get(t, "/complain")
		w.errors.await(t, "RuntimeError: the callback fails")
		w.errors.await(t, fmt.Sprintf("complaint of %d\n", w.pid))
		w.out.await(t, fmt.Sprintf("word of %d\n", w.pid))
		w.out.await(t, fmt.Sprintf("child of %d\n", w.pid))
	}

	require.Len(t, pids, 3)
	require.Len(t, randoms, 3, "each worker has random numbers of its own")
	require.NotContains(t, p.out.String(), "complaint")
	require.NotContains(t, p.out.String(), "callback")
}

// Everything works with every Python on this machine that is not too old.
func TestWSGIPreloaderVersions(t *testing.T) {
	t.Parallel()

	for i, path := range pythons(t) {
		// The name is part of the sockets' paths, which have to be short.
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			t.Log(path)
			p := startPreloader(t, wsgiPreloaderSpec(t, path, absolute(t, "testdata/wsgiprocess/passenger_wsgi.py")))
			one, four := p.spawn(t, wsgiWorkerSpec(keepAlive)), p.spawn(t, wsgiWorkerSpec(keepAlive, fourThreads))
			require.Equal(t, one.pid, one.wsgiIdentity(t).PID)
			requireMeeting(t, four.process)
			require.JSONEq(t, `"body"`, one.directRequest(t, "POST",
				fmt.Sprintf(directHead, "POST", "/echo")+"Content-Length: 4\r\n\r\nbody").body)
			one.requireCleanStop(t)
			require.Equal(t, loaderproto.WorkerExit{PID: one.pid}, p.awaitExit(t, one))
			four.requireCleanStop(t)
			p.requireCleanStop(t)
		})
	}
}

// spawnWSGI returns a worker of the application that the loader is tested with.
func spawnWSGI(t *testing.T) *worker {
	t.Helper()
	p := startPreloader(t, wsgiPreloaderSpec(t, python(t), absolute(t, "testdata/wsgi/passenger_wsgi.py")))
	return p.spawn(t, wsgiWorkerSpec(keepAlive))
}

func TestWSGIPreloadedKeepAlive(t *testing.T) { requireKeepAlive(t, spawnWSGI(t).process) }
func TestWSGIPreloadedControl(t *testing.T)   { requireControl(t, spawnWSGI(t).process) }

func TestWSGIPreloadedPassword(t *testing.T) {
	t.Parallel()

	w := spawnWSGI(t)
	for _, wrong := range []string{"", "wrong", password + "x"} {
		s := w.session(t)
		s.write(t, header(t, "GET", "/ignore_body", vars{"PASSENGER_CONNECT_PASSWORD": wrong}))
		s.requireClosed(t)
	}

	w.errors.await(t, "refused a request with a wrong connect password")
	require.NotContains(t, w.errors.String(), password)
}

func TestWSGIPreloadedFailure(t *testing.T) {
	t.Parallel()
	p := startWSGIPreloader(t)
	w, err := p.spawnFailure(t, wsgiWorkerSpec(func(s *spec) {
		s.request.SocketDir = "/tmp/" +
			strings.Repeat("x", 100)
	}))
	require.Contains(t, err.Message.Text, "shorter than 108 bytes")
	require.Equal(t, loaderproto.WorkerExit{PID: w.pid, Status: 1}, p.awaitExit(t, w))
}

func TestWSGIPreloaderDescriptors(t *testing.T) {
	t.Parallel()
	type descriptors struct{ Standard, Others []string }
	ask := func(p *process) (d descriptors) {
		r := p.get(t, "/descriptors")
		require.NoError(t, json.Unmarshal([]byte(r.body), &d), r.body)
		return d
	}

	// The tests may have been started with descriptors that everybody inherits.
	inherited := ask(startWSGIProcess(t)).Others
	for _, ours := range []string{"anon_inode", "socket", "socket", "socket", "socket"} {
		i := slices.Index(inherited, ours)
		require.GreaterOrEqual(t, i, 0, "two listeners, the selector, the lifeline, and the connection that asks")
		inherited = slices.Delete(inherited, i, i+1)
	}

	require.NotContains(t, inherited, "socket")
	require.NotContains(t, inherited, "anon_inode")

	p := startWSGIPreloader(t)
	half := p.dial(t)
	_, err := half.Write([]byte("spawn\nhalf of a command"))
	require.NoError(t, err)

	for range 2 {
		w := p.spawn(t, wsgiWorkerSpec())
		d := ask(w.process)
		require.Equal(t, []string{"/dev/null", "socket", "pipe"}, d.Standard)
		want := append([]string{"anon_inode", "socket", "socket", "socket", "socket"}, inherited...)
		slices.Sort(want)
		require.Equal(t, want, d.Others)
		require.Len(t, w.ready.Sockets, 2)
	}
}

// wsgiPreloaded is what preloaders of all languages have to do, in Python.
func wsgiPreloaded(t *testing.T) preloaded {
	t.Helper()

	return preloaded{
		preloader: startWSGIPreloader(t),
		spec:      func() *spec { return wsgiWorkerSpec() },
		end:       "/end",
		atExit:    "atexit of %d\n",
		pid: func(t *testing.T, w *worker) int {
			t.Helper()
			return w.wsgiIdentity(t).PID
		},
	}
}

func TestWSGIPreloaderExits(t *testing.T) {
	t.Parallel()
	wsgiPreloaded(t).requireExits(t)
}

// Without the features a worker has the preloader's stderr, and its end is not
// told.
func TestWSGIPreloaderWithoutFeatures(t *testing.T) {
	t.Parallel()
	p := startWSGIPreloader(t, func(s *spec) { s.request.Features = nil })
	require.Empty(t, p.ready.Features)
	w := p.spawn(t, wsgiWorkerSpec())
	w.get(t, "/complain")
	p.out.await(t, fmt.Sprintf("complaint of %d\n", w.pid))
	w.requireCleanStop(t)

	// A descriptor that was not agreed on is closed.
	r, theirs, err := os.Pipe()
	require.NoError(t, err)
	pid := p.rawSpawn(t, theirs)
	require.Positive(t, pid)
	requireEOF(t, r)
	p.requireCleanStop(t)
	require.NotContains(t, p.out.String(), "worker_exit")
}

func TestWSGIPreloaderStops(t *testing.T) {
	t.Parallel()
	wsgiPreloaded(t).requireStops(t)
	wsgiPreloaded(t).requireTerminates(t)
}

func TestWSGIPreloaderFailures(t *testing.T) {
	t.Parallel()
	const waiting = `
import threading
go = threading.Event()
thread = threading.Thread(target=go.wait, name="metrics sender", daemon=True)
thread.start()
`
	const nameless = `
import _thread, os
r, w = os.pipe()
_thread.start_new_thread(os.read, (r, 1))
`

	const app = "\ndef application(env, start_response): pass\n"
	for name, c := range map[string]struct{ source, want, notWant string }{
		"exception":      {source: "raise RuntimeError('no: database')", want: "RuntimeError: no: database"},
		"exit":           {source: "import sys; sys.exit(3)", want: "SystemExit: 3"},
		"no application": {source: "app = 1", want: "does not define a callable named 'application'"},
		"thread":         {source: waiting + app, want: "'metrics sender'", notWant: "Traceback"},
		"foreign thread": {source: nameless + app, want: "of a library", notWant: "Traceback"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := startPreloaderFailure(t, wsgiPreloaderSpec(t, python(t), writeWSGIApp(t, c.source)))
			require.Equal(t, loaderproto.AppError, err.Kind)
			require.Contains(t, err.Message.Text, c.want)
			if c.notWant != "" {
				require.NotContains(t, err.Message.Text, c.notWant)
				require.Contains(t, err.Message.Text, "starting_worker_process")
				require.Contains(t, err.Message.Text, "spawn method direct")
			}

			require.Equal(t, 1, p.exitCode(t))
			left, e := filepath.Glob(filepath.Join(p.socketDir, "*"))
			require.NoError(t, e)
			require.Empty(t, left)
		})
	}

	_, err := startPreloaderFailure(t, wsgiPreloaderSpec(t, python(t), writeWSGIApp(t, app), tcpOnly))
	require.Contains(t, err.Message.Text, "socket_dir")
}

// Threads that have ended before the application was loaded do no harm.
func TestWSGIPreloaderEndedThreads(t *testing.T) {
	t.Parallel()

	for range 5 {
		p := startPreloader(t, wsgiPreloaderSpec(t, python(t), writeWSGIApp(t, `
import threading
threads = [threading.Thread(target=lambda: None) for n in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
def application(env, start_response): pass
`)))
		p.requireCleanStop(t)
	}
}

func TestWSGIPreloaderCollector(t *testing.T) {
	t.Parallel()
	p := startWSGIPreloader(t, func(s *spec) { s.env = []string{"GC=off"} })
	id := p.spawn(t, wsgiWorkerSpec()).wsgiIdentity(t)
	require.False(t, id.GC, "as the application has set it")
	require.Positive(t, id.Frozen)
}

func TestWSGIPreloaderExample(t *testing.T) {
	t.Parallel()
	s := exampleSpec(t, "flask")
	s.argv[len(s.argv)-1] = absolute(t, loaders.PythonPreloader)

	p := startPreloader(t, s)
	for range 2 {
		w := p.spawn(t, wsgiWorkerSpec(keepAlive))
		require.Contains(t, w.get(t, "/").body, "<h1>Hello from Flask</h1>")
		require.Equal(t, strconv.Itoa(w.pid), w.get(t, "/pid").body)
		require.Contains(t, w.directGet(t, "/").body, "<h1>Hello from Flask</h1>")
		w.requireCleanStop(t)
	}
}

// An application may have modules of its own with the names of any that Python has, such as signal.py: the loader takes
// none from sys.path after the application has put itself there.
func TestWSGILoadersImportNothingAfterTheApplication(t *testing.T) {
	t.Parallel()
	file := writeWSGIApp(t, `
import sys
def application(environ, start_response):
    start_response("200 OK", [])
    return [" ".join(sorted(set(sys.modules) - loaded)).encode()]
loaded = set(sys.modules)
loaded.add("passenger_wsgi")
`)

	for name, serve := range map[string]func(t *testing.T) *process{
		"direct":  func(t *testing.T) *process { t.Helper(); return start(t, wsgiSpec(t, python(t), file)) },
		"threads": func(t *testing.T) *process { t.Helper(); return start(t, wsgiSpec(t, python(t), file, fourThreads)) },
		"preloader": func(t *testing.T) *process {
			t.Helper()
			return startPreloader(t, wsgiPreloaderSpec(t, python(t), file)).spawn(t, wsgiWorkerSpec()).process
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := serve(t)
			require.Empty(t, p.get(t, "/").body)
		})
	}
}

// Children of an application end by SIGTERM at any moment, as those of multiprocessing have to: what makes the process
// itself finish its requests is not theirs.
func TestWSGIChildrenEndBySIGTERM(t *testing.T) {
	t.Parallel()
	file := writeWSGIApp(t, `
import os, signal, time
def application(environ, start_response):
    statuses = set()
    for _ in range(100):
        pid = os.fork()
        if pid == 0:
            time.sleep(1000)
        os.kill(pid, signal.SIGTERM)
        statuses.add(os.waitpid(pid, 0)[1])
    start_response("200 OK", [])
    return [repr(statuses).encode()]
`)
	p := start(t, wsgiSpec(t, python(t), file))
	require.Equal(t, "{15}", p.get(t, "/").body)
	require.Equal(t, "{15}", p.get(t, "/").body)
	p.requireCleanStop(t)
}
