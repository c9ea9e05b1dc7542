package e2e_test

import (
	"bufio"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// clockVar makes the test binary one that changes what other processes, whose ids
// it has, see of the wall clock.
const clockVar = "E2E_CLOCK"

// vdso is where Go's runtime has the function that tells the time without a system
// call; where there is none, it makes one.
const vdso = "runtime.vdsoClockgettimeSym"

const clockChanged = "the clock goes by "

// tracer adds to the wall clock that traced processes read.
type tracer struct {
	seconds atomic.Int64
	// memories are those of the processes, by their threads.
	memories map[int]*os.File
}

// playClock reads by how many seconds the clock is to be wrong, a line for each
// change. The others go on by themselves when it ends.
func playClock() (status int) {
	tr := &tracer{memories: map[int]*os.File{}}
	runtime.LockOSThread() // it is one thread that traces

	for field := range strings.FieldsSeq(os.Getenv(clockVar)) {
		pid, err := strconv.Atoi(field)
		if err == nil {
			err = tr.attach(pid)
		}

		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}

	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			seconds, _ := strconv.ParseInt(lines.Text(), 10, 64) // the test has written it
			tr.seconds.Store(seconds)
			fmt.Println(clockChanged + lines.Text())
		}

		os.Exit(0)
	}()
	if err := tr.trace(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}

	return 0
}

// attach traces all threads of a process, and those to come.
func (tr *tracer) attach(pid int) error {
	memory, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}

	for found := true; found; {
		found = false
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			return err
		}

		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil {
				return err
			}

			if tr.memories[tid] != nil {
				continue
			}

			const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE
			_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(tid), 0, options, 0, 0)
			if errno == unix.EPERM || errno == unix.ESRCH {
				continue // it has been attached with its creator, or has ended
			}

			if errno != 0 {
				return fmt.Errorf("cannot trace thread %d: %w", tid, errno)
			}

			found, tr.memories[tid] = true, memory
			if err := unix.PtraceInterrupt(tid); err != nil {
				return err
			}
		}
	}

	symbol, err := symbolAddress(fmt.Sprintf("/proc/%d/exe", pid), vdso)
	if err != nil {
		return err
	}

	_, err = memory.WriteAt(make([]byte, 8), symbol)

	return err
}

// symbolAddress finds a symbol of a program that is not relocated.
func symbolAddress(path, name string) (int64, error) {
	f, err := elf.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil || f.Type != elf.ET_EXEC {
		return 0, errors.Join(fmt.Errorf("%s has no fixed addresses", path), err)
	}

	for i := range symbols {
		if symbols[i].Name == name {
			return int64(symbols[i].Value), nil
		}
	}

	return 0, fmt.Errorf("%s has no symbol %s", path, name)
}

// trace lets each thread that stops go on, until there is none.
func (tr *tracer) trace() error {
	for {
		var status unix.WaitStatus

		tid, err := unix.Wait4(-1, &status, unix.WALL, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD):
			return nil
		case err != nil:
			return err
		case !status.Stopped():
			delete(tr.memories, tid)
			continue
		}

		signal := 0
		switch event := uint32(status) >> 16; {
		case status.StopSignal() == unix.SIGTRAP|0x80:
			err = tr.atSystemCall(tid)
		case event == unix.PTRACE_EVENT_CLONE:
			var created uint
			if created, err = unix.PtraceGetEventMsg(tid); err == nil {
				tr.memories[int(created)] = tr.memories[tid]
			}
		case event == 0:
			signal = int(status.StopSignal())
		}

		if err == nil {
			err = unix.PtraceSyscall(tid, signal)
		}

		if err != nil && !errors.Is(err, unix.ESRCH) { // it has been killed
			return err
		}
	}
}

// atSystemCall changes what a call that has just been made says of the time.
func (tr *tracer) atSystemCall(tid int) error {
	var r unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &r); err != nil {
		return err
	}

	// At its beginning, the result is an error.
	if r.Orig_rax != unix.SYS_CLOCK_GETTIME || r.Rdi != unix.CLOCK_REALTIME || r.Rax != 0 {
		return nil
	}

	memory := tr.memories[tid]
	if memory == nil {
		return fmt.Errorf("thread %d belongs to no process", tid)
	}

	var b [8]byte
	if _, err := memory.ReadAt(b[:], int64(r.Rsi)); err != nil {
		return err
	}

	binary.LittleEndian.PutUint64(b[:], binary.LittleEndian.Uint64(b[:])+uint64(tr.seconds.Load()))
	_, err := memory.WriteAt(b[:], int64(r.Rsi))

	return err
}

// clock is the wall clock of a server.
type clock struct {
	boxed.Program
	t  *testing.T
	in io.Writer
}

// clock traces the server's own processes.
func (s *server) clock(t *testing.T) *clock {
	t.Helper()
	interpreters.Root(t, "to trace processes")
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d", clockVar, s.Cmd.Process.Pid, s.core(t)),
		"GORACE=atexit_sleep_ms=0")
	k := &clock{t: t, Program: boxed.Program{Cmd: cmd, Judged: true}} // it is killed
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	k.in = in
	k.Start(t, nil)
	k.set(0)

	return k
}

func (k *clock) set(ahead time.Duration) {
	k.t.Helper()
	text := strconv.Itoa(int(ahead.Seconds()))
	_, err := io.WriteString(k.in, text+"\n")
	require.NoError(k.t, err, "%s", &k.Stderr)
	k.Stdout.Await(k.t, clockChanged+text+"\n", 1, k.Ended)
}

var shownTimes = regexp.MustCompile(`(?:Uptime: |Last used: )([^\n]*?s)(?: ago)?\n`)

// requireShortTimes checks what the tools show of a server that was just started.
func requireShortTimes(t testing.TB, status string) {
	t.Helper()
	shown := shownTimes.FindAllStringSubmatch(status, -1)
	require.NotEmpty(t, shown, status)

	for _, m := range shown {
		d, err := time.ParseDuration(strings.ReplaceAll(m[1], " ", ""))
		require.NoError(t, err, status)
		require.Less(t, d, 30*time.Minute, status)
	}
}

// When the clock is set, the responses' dates follow it, and nothing else does: requests in flight continue, no time
// limit fires, no process is taken for dead, and the tools show how long they have run.
// Faults: F6.
func TestSettingTheClockDisturbsNoTimeLimits(t *testing.T) {
	t.Parallel()
	const processes, long = 2, "1000" // seconds
	s := start(t, &launch{dir: newDir(t, map[string]string{"public/page.txt": "static"}), args: append(testApp(t),
		"--min-instances", strconv.Itoa(processes), "--core-heartbeat-timeout", "10", "--max-request-time", long,
		"--max-request-queue-time", long,
		"--pool-idle-time", long, "--client-timeout", long, "--keepalive-timeout", long)})
	s.requireApps(t, processes)
	c := s.client(t)
	c.get(t, "/")
	core, apps := s.core(t), s.apps(t)
	k := s.clock(t)
	held := c.background(t, "/hold")
	s.Stderr.Await(t, heldText(1), 1, s.Ended)

	for _, to := range []struct {
		name  string
		clock time.Time
	}{
		{"an hour later", time.Now().Add(time.Hour)},
		{"an hour earlier", time.Now().Add(-time.Hour)},
		{"1970", time.Unix(60, 0)},
		{"2040", time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"now", time.Now()},
	} {
		k.set(time.Until(to.clock))

		changed := time.Now()
		for time.Since(changed) < 3*time.Second { // a beat of the core's heart
			require.Equal(t, "app: GET /", c.get(t, "/").body)
			require.Equal(t, "static", c.get(t, "/page.txt").body)
			<-time.After(interval)
		}

		date, err := http.ParseTime(c.get(t, "/page.txt").Header.Get("Date"))
		require.NoError(t, err)
		require.WithinDuration(t, to.clock.Add(time.Since(changed)), date, time.Minute, to.name)
		requireShortTimes(t, s.statusText(t))
		require.Equal(t, core, s.core(t), to.name)
		require.ElementsMatch(t, apps, s.apps(t), to.name)
	}

	signalAll(t, syscall.SIGUSR1, apps...)
	a := <-held
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)

	// A start is no longer than it is, either.
	k.set(-time.Hour)
	require.NoError(t, syscall.Kill(apps[0], syscall.SIGKILL))
	s.requireGone(t, apps[0])
	k.set(24 * time.Hour)
	s.requireApps(t, processes)
	require.Equal(t, "app: GET /", c.get(t, "/").body)
	requireShortTimes(t, s.statusText(t))
	require.NotRegexp(t, "does not respond", s.Stderr.String())
}

// onClock runs a function while the server reads another time, and then goes by the
// right one.
func (s *server) onClock(t *testing.T, ahead time.Duration, do func()) {
	t.Helper()
	k := s.clock(t)
	k.set(ahead)
	do()
	k.set(0)
	do()
}
