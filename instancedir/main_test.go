package instancedir_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/leakgate"
)

// Users that need not exist: the kernel only knows numbers.
const (
	alice = 61001
	bob   = 61002
)

// taskVariable makes the test binary a watchdog, or an agent that takes over.
const taskVariable = "INSTANCEDIR_TEST_TASK"

// task is what a watchdog does. Then it waits for a line: with "remove" it
// removes the directory, else it ends as if it was killed.
type task struct {
	Umask    int
	Config   instancedir.Config
	Finalize bool
	// Inherit is a directory whose lock is file descriptor 3.
	Inherit string
	// Clean is a registry to clean, which is all there is to do.
	Clean string
}

// outcome is what it tells.
type outcome struct{ Path, Name, ReadOnly, Full, Report, Err string }

func TestMain(m *testing.M) {
	text := os.Getenv(taskVariable)
	if text == "" {
		os.Exit(m.Run())
	}

	var todo task
	if err := json.Unmarshal([]byte(text), &todo); err != nil {
		panic(err)
	}

	if err := todo.run(); err != nil {
		_ = json.NewEncoder(os.Stdout).Encode(outcome{Err: err.Error()})
		os.Exit(1)
	}
}

func (k *task) run() error {
	if k.Clean != "" {
		return json.NewEncoder(os.Stdout).Encode(outcome{Report: clean(k.Clean)})
	}

	d, err := k.dir()
	if err != nil {
		return err
	}

	if k.Finalize {
		if err := errors.Join(d.WritePID(instancedir.Core, os.Getpid()), d.Finalize()); err != nil {
			return err
		}
	}

	o := outcome{
		Path:     d.Path(),
		Name:     d.Name(),
		ReadOnly: d.ReadOnlyPassword(),
		Full:     d.FullPassword(),
	}
	if err := json.NewEncoder(os.Stdout).Encode(o); err != nil {
		return err
	}

	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if errors.Is(err, io.EOF) {
		return nil
	}

	if line != "remove\n" {
		return fmt.Errorf("told to do %q", line)
	}

	return d.Remove()
}

func (k *task) dir() (*instancedir.Dir, error) {
	if k.Inherit != "" {
		return instancedir.Inherit(k.Inherit, os.NewFile(3, "inherited lock"))
	}

	syscall.Umask(k.Umask)

	return instancedir.Create(k.Config)
}

// watchdog is another process that does a task.
type watchdog struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	outcome
}

// start returns when the process has told its outcome.
func start(t *testing.T, program string, todo *task, change ...func(*exec.Cmd)) *watchdog {
	t.Helper()
	text, err := json.Marshal(todo)
	require.NoError(t, err)
	w := &watchdog{t: t, cmd: exec.CommandContext(t.Context(), program)}
	w.cmd.Env = append(os.Environ(), taskVariable+"="+string(text), "GORACE=atexit_sleep_ms=0")
	w.cmd.Dir = "/"

	w.cmd.Stderr = os.Stderr
	for _, c := range change {
		c(w.cmd)
	}

	w.in, err = w.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := w.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, w.cmd.Start())
	t.Cleanup(w.kill)
	require.NoError(t, json.NewDecoder(out).Decode(&w.outcome))

	return w
}

func (w *watchdog) kill() {
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait() // it was killed
}

func (w *watchdog) remove() {
	w.t.Helper()
	_, err := io.WriteString(w.in, "remove\n")
	require.NoError(w.t, err)
	require.NoError(w.t, w.cmd.Wait())
}

func as(uid int) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
}

func requireRoot(t *testing.T) {
	t.Helper()
	interpreters.Root(t, "to become other users")
}

// newRegistry is an empty directory that nothing is left of, nor of what ran. Its
// path is short enough for sockets. All may put something in it, as in /tmp.
func newRegistry(t *testing.T) string {
	t.Helper()
	leakgate.Check(t)
	dir := shortDir(t)
	require.NoError(t, os.Chmod(dir, 0o777|os.ModeSticky))

	return dir
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "id") //nolint:usetesting // that of t is too long for sockets
	require.NoError(t, err)
	dir, err = filepath.EvalSymlinks(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })

	return dir
}

// sharedProgram is the test binary where every user can execute it.
func sharedProgram(t *testing.T) string {
	t.Helper()
	dir := shortDir(t)
	require.NoError(t, os.Chmod(dir, 0o755))
	path := filepath.Join(dir, "program")
	require.NoError(t, boxed.CopySelf(path))

	return path
}

func config(registry string) instancedir.Config {
	return instancedir.Config{
		Registry:         registry,
		Version:          "6.0.0",
		IntegrationMode:  "standalone",
		ServerSoftware:   "nginx/1.0",
		StandaloneEngine: "builtin",
	}
}

// create makes an instance directory, which the end of the test closes.
func create(t *testing.T, registry string) *instancedir.Dir {
	t.Helper()
	d, err := instancedir.Create(config(registry))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })

	return d
}

// run makes one that tools show.
func run(t *testing.T, registry string) *instancedir.Dir {
	t.Helper()
	d := create(t, registry)
	require.NoError(t, d.Finalize())

	return d
}

// abandon makes one that its instance has left behind.
func abandon(t *testing.T, registry string) string {
	t.Helper()
	d := run(t, registry)
	require.NoError(t, d.Close())

	return d.Path()
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	require.NoError(t, err)

	names := make([]string, len(found))
	for n, e := range found {
		names[n] = e.Name()
	}

	return names
}

// only returns the single instance that there is.
func only(t *testing.T, registry string) instancedir.Instance {
	t.Helper()
	l := instancedir.List([]string{registry})
	require.Empty(t, l.Skipped)
	require.Empty(t, l.Stale)
	require.Len(t, l.Instances, 1)

	return l.Instances[0]
}

// clean lists and cleans, and returns what was reported.
func clean(registry string) string {
	var report strings.Builder
	instancedir.List([]string{registry}).Clean(&report)
	return report.String()
}
