package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/test/smalldisk"
)

// badDay is a server on a machine on which everything goes wrong in turn.
type badDay struct {
	*server

	t *testing.T
	// dir is the application's; disk has the log, and buffers what does not fit into memory.
	dir, disk, buffers, log, pidFile, port string
	load                                   *load
}

const (
	// badDayClients have one request under way each.
	badDayClients   = 4
	badDayProcesses = 2
)

// Journey 10, the machine's bad day: the disk is full, there are no descriptors, each
// process is killed, the clock is set back, and the power goes while files are written.
// The server says so in a line each, recovers by itself, and loses no more than what was
// under way; nothing is left behind, and no broken file stops the next start.
func TestJourneyBadDay(t *testing.T) {
	t.Parallel()
	buffers, disk := smalldisk.Mount(t, "size=2m"), smalldisk.Mount(t, "size=512k")
	d := &badDay{
		t:       t,
		dir:     newDir(t, map[string]string{"public/page.txt": "static"}),
		disk:    disk,
		buffers: buffers,
		log:     filepath.Join(disk, "log"),
		pidFile: filepath.Join(t.TempDir(), "pid"),
		port:    freePort(t),
	}
	d.start(newSandbox(t))

	d.diskIsFull()
	d.noDescriptors()
	d.coreIsKilled()
	d.applicationIsKilled()
	d.watchdogIsKilled()
	require.Less(t, strings.Count(d.logged(), "\n"), 200, "lines of the log so far")

	for _, breakage := range breakages {
		d.powerIsGone(breakage.name, breakage.of)
	}

	d.clockIsSetBack()

	d.endLoad(0)
	d.stop(t)
	require.NoFileExists(t, d.pidFile)
	requireOnly(t, d.disk, "log")
	requireOnly(t, d.buffers)
}

// start is what whoever supervises the server does.
func (d *badDay) start(box *sandbox) {
	d.t.Helper()
	d.server = startIn(d.t, box, &launch{dir: d.dir, args: append(testApp(d.t),
		"--address", "127.0.0.1", "--port", d.port, "--pid-file", d.pidFile, "--log-file", d.log,
		"--data-buffer-dir", d.buffers, "--min-instances", strconv.Itoa(badDayProcesses), "--max-pool-size",
		strconv.Itoa(badDayProcesses))})
	d.requireApps(d.t, badDayProcesses)
	d.resume()
	d.load.Progress(d.t, 3*badDayClients)
}

// endLoad ends the clients, which may have lost n requests.
func (d *badDay) endLoad(lost int) {
	d.t.Helper()
	d.load.Progress(d.t, 3*badDayClients)
	d.load.Stop()
	require.LessOrEqual(d.t, d.load.Lost.Load(), int64(lost), "%v", d.load.FirstLoss())
	d.load.Lost.Store(0)
}

func (d *badDay) logged() string {
	d.t.Helper()
	b, err := os.ReadFile(d.log)
	require.NoError(d.t, err)

	return string(b)
}

// requireLine waits until the log has a line more that matches than before, and requires
// that it is the only one.
func (d *badDay) requireLine(pattern, before string) {
	d.t.Helper()
	line := regexp.MustCompile(pattern)
	count := func(text string) int { return len(line.FindAllStringIndex(text, -1)) }
	eventually(d.t, func() error {
		if count(d.logged()) == count(before) {
			return fmt.Errorf("the log does not say %q: %s", pattern, strings.TrimPrefix(d.logged(), before))
		}

		return nil
	})
	require.Equal(d.t, count(before)+1, count(d.logged()), "%s", strings.TrimPrefix(d.logged(), before))
}

func requireOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, len(names), "%v", entries)

	for i, e := range entries {
		require.Equal(t, names[i], e.Name())
	}
}

// diskIsFull has no room for the log, nor for uploads.
func (d *badDay) diskIsFull() {
	d.t.Helper()
	t, c := d.t, d.client(d.t)
	filler, other := filepath.Join(d.disk, "filler"), filepath.Join(d.buffers, "filler")
	upload := func(size int) int {
		return c.ask(t, http.MethodPost, "/length", bytes.NewReader(make([]byte, size))).StatusCode
	}
	const fits = 2 * megabyte // with what of it is kept in memory
	require.Equal(t, http.StatusOK, upload(fits))

	for _, path := range []string{filler, other} {
		require.Error(t, os.WriteFile(path, make([]byte, 3*megabyte), 0o600)) // as much as there is room for
	}

	for i := range 100 {
		require.Contains(t, c.get(t, fmt.Sprintf("/print?%0200d", i)).body, "app: ")
	}

	require.Equal(t, http.StatusInsufficientStorage, upload(fits))
	require.Equal(t, http.StatusOK, upload(megabyte), "what fits into memory")
	require.Equal(t, "static", c.get(t, "/page.txt").body)
	d.load.Progress(t, 3*badDayClients)

	before := d.logged()
	require.NoError(t, errors.Join(os.Remove(filler), os.Remove(other)))
	require.Equal(t, http.StatusOK, upload(fits))
	c.get(t, "/print?room")
	d.requireLine("lines of this log could not be written", before)
	require.Zero(t, d.load.Lost.Load(), "%v", d.load.FirstLoss())
}

// noDescriptors has the core open nothing more. Who is connected is served, who comes
// waits until there are some.
func (d *badDay) noDescriptors() {
	d.t.Helper()
	t, core, before := d.t, d.core(d.t), d.logged()
	connected := d.client(t)
	connected.get(t, "/")

	lowest := 0
	for ; ; lowest++ {
		if _, err := os.Lstat(d.proc(t, filepath.Join("fd", strconv.Itoa(lowest)))); errors.Is(err, fs.ErrNotExist) {
			break
		}
	}

	var limit unix.Rlimit
	require.NoError(t, unix.Prlimit(core, unix.RLIMIT_NOFILE, nil, &limit))
	require.NoError(t, unix.Prlimit(core, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(lowest), Max: limit.Max}, nil))
	waiting := d.client(t).background(t, "/pid")
	d.requireLine("too many open files", before)
	require.Equal(t, "app: GET /?connected", connected.get(t, "/?connected").body)

	require.NoError(t, unix.Prlimit(core, unix.RLIMIT_NOFILE, &limit, nil))
	a := <-waiting
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Zero(t, d.load.Lost.Load(), "%v", d.load.FirstLoss())
}

// coreIsKilled is what the kernel does for want of memory.
func (d *badDay) coreIsKilled() {
	d.t.Helper()
	before := d.logged()
	d.load.killCore(d.t, d.server, 10*badDayClients)
	d.requireLine("signal: killed", before)
	d.endLoad(badDayClients)
	d.requireApps(d.t, badDayProcesses)
	d.resume()
}

// resume starts the clients again.
func (d *badDay) resume() {
	d.t.Helper()
	d.load = d.server.load(d.t, badDayClients, func(ctx context.Context, c *client) error {
		defer think(ctx)
		return askOnce(ctx, c)
	})
}

func (d *badDay) applicationIsKilled() {
	d.t.Helper()
	before, apps := d.logged(), d.apps(d.t)
	require.NoError(d.t, syscall.Kill(apps[0], syscall.SIGKILL))
	eventually(d.t, func() error {
		if now := d.apps(d.t); len(now) != badDayProcesses || now[0] == apps[0] || now[1] == apps[0] {
			return fmt.Errorf("the processes are %v, and %d was killed", now, apps[0])
		}

		return nil
	})

	// Either its end is seen first, or a connection to it that fails.
	d.requireLine("a process ended by itself|detaching a process that does not respond", before)
	d.endLoad(badDayClients)
}

// watchdogIsKilled leaves a core that ends everything, and itself.
func (d *badDay) watchdogIsKilled() {
	d.t.Helper()
	before := d.logged()
	d.signal(d.t, syscall.SIGKILL)
	<-d.Ended
	d.Judged = true
	d.RequireClean(d.t)
	d.requireLine("the watchdog is gone", before)
	d.start(d.sandbox)
	d.endLoad(0)
}

// breakages are what a file may be when the power went while it was written.
var breakages = []struct {
	name string
	of   func(path string, info fs.FileInfo) error
}{
	{"empty", func(path string, _ fs.FileInfo) error { return os.Truncate(path, 0) }},
	{"half", func(path string, info fs.FileInfo) error { return os.Truncate(path, info.Size()/2) }},
	{"zeros", func(path string, info fs.FileInfo) error {
		return errors.Join(os.Truncate(path, 0), os.Truncate(path, info.Size()))
	}},
	{"another file's blocks", func(path string, _ fs.FileInfo) error {
		return os.WriteFile(path, bytes.Repeat([]byte("\xff{\"4711"), 1000), 0) // the mode stays
	}},
}

// killEverything leaves no process that could tidy up.
func (d *badDay) killEverything() {
	d.t.Helper()

	for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} { // none may see the end of another
		for pid := range d.Processes() {
			_ = syscall.Kill(pid, sig)
		}
	}

	<-d.Ended
	d.Judged = true
	eventually(d.t, func() error {
		if left := d.Processes(); len(left) > 0 {
			return fmt.Errorf("%v are not dead", left)
		}

		return nil
	})
}

// powerIsGone kills everything at once, and breaks all files that a next start finds.
func (d *badDay) powerIsGone(name string, breakage func(path string, info fs.FileInfo) error) {
	d.t.Helper()
	t := d.t
	d.killEverything()

	files := 0
	for _, root := range []string{d.Tmp, d.pidFile, d.log} {
		require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}

			info, err := entry.Info()
			if err != nil {
				return err
			}

			files++

			return breakage(path, info)
		}))
	}

	require.Greater(t, files, 6, "%s: the pid file, the log and those of the instance directory", name)

	// Tools see that there is no server, whatever its file says.
	for _, command := range []string{"status", "stop"} {
		cmd := exec.CommandContext(t.Context(), filepath.Join(built, "passenger"), command, "--pid-file", d.pidFile)
		cmd.Env = d.Env()
		out, _ := cmd.CombinedOutput() // the status is the command's to choose
		require.Contains(t, string(out), "is not running, according to", name)
		require.Equal(t, 1, strings.Count(string(out), "\n"), "%s", out)
	}

	broken := d.logged()
	d.start(d.sandbox)
	d.requireLine("Cleaning stale instance directory", broken)
	require.NotContains(t, d.logged(), "Warning", name)
	require.Len(t, d.instances().Instances, 1, name)
	require.Empty(t, d.instances().Stale, name)
	pid, err := os.ReadFile(d.pidFile)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintln(d.Cmd.Process.Pid), string(pid), name)
	d.endLoad(0)
}

// clockIsSetBack changes nothing but dates.
func (d *badDay) clockIsSetBack() {
	d.t.Helper()
	d.resume()
	core, apps := d.core(d.t), d.apps(d.t)
	d.onClock(d.t, -48*time.Hour, func() { d.load.Progress(d.t, 10*badDayClients) })
	require.Equal(d.t, core, d.core(d.t))
	require.ElementsMatch(d.t, apps, d.apps(d.t))
}

// With Flying, what is left of a server that lost its power is a socket and a password.
// One that is broken is named, with what to do, and nothing is served by a password that
// the operator has not chosen.
func TestFlyingStartsAfterThePowerWasGone(t *testing.T) {
	t.Parallel()
	box := newFlyingSandbox(t)
	f := startFlying(t, box)
	a := box.goTenant(t, "a", daemonUID)
	require.Equal(t, "a", f.byHTTP(t, a, "/").Name)
	before := f.password(t)
	(&badDay{t: t, server: f.server}).killEverything()
	require.FileExists(t, f.socket)

	again := startFlying(t, box)
	require.Equal(t, before, again.password(t))
	require.Equal(t, "a", again.byHTTP(t, a, "/").Name)
	require.Equal(t, 1, strings.Count(again.Stderr.String(), "Cleaning stale instance directory"))
	(&badDay{t: t, server: again.server}).killEverything()

	for _, breakage := range breakages {
		require.NoError(t, os.WriteFile(f.passwordFile, []byte(before+"\n"), 0o600))
		info, err := os.Stat(f.passwordFile)
		require.NoError(t, err)
		require.NoError(t, breakage.of(f.passwordFile, info))
		if breakage.name == "half" {
			continue // that is a password yet, which web servers do not have
		}

		out, err := box.flyingCommand(t).CombinedOutput()
		require.Error(t, err, breakage.name)
		line := lineOf(string(out), "cannot use the password file")
		require.Contains(t, line, f.passwordFile, breakage.name)
		require.Regexp(t, "remove the file|has more than|which web servers' configurations change", line, breakage.name)
	}

	require.NoError(t, os.Remove(f.passwordFile))
	last := startFlying(t, box)
	require.NotEqual(t, before, last.password(t))
	require.Equal(t, "a", last.byHTTP(t, a, "/").Name)
	last.stop(t)
	requireOnly(t, filepath.Join(box.Dir, "run"), filepath.Base(f.passwordFile))
}
