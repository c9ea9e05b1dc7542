package procstat_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/procstat"
)

// childVariable makes the test binary play a child.
const childVariable = "PROCSTAT_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "":
		os.Exit(m.Run())
	case "memory":
		// Not of the heap, which the race detector keeps a shadow of.
		memory, err := unix.Mmap(-1, 0, dirtied, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			panic(err)
		}

		for i := 0; i < len(memory); i += os.Getpagesize() {
			memory[i] = 1
		}

		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
		fmt.Println(memory[0])
	case "reader":
		pid, err := strconv.Atoi(os.Args[1])
		if err != nil {
			panic(err)
		}

		p, err := procstat.Read(pid)
		if err != nil {
			panic(err)
		}

		if err := json.NewEncoder(os.Stdout).Encode(p); err != nil {
			panic(err)
		}
	}
}

const dirtied = 50 << 20

// child runs the test binary until the test's end.
func child(t *testing.T, behaviour string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"child", "of a test"}
	cmd.Env = append(os.Environ(), childVariable+"="+behaviour, "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	_, err = bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)

	return cmd
}

func TestOurselves(t *testing.T) {
	before := time.Now()
	p, err := procstat.Read(os.Getpid())
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), p.PID)
	require.Equal(t, procstat.Known(os.Getppid()), p.PPID)
	require.Equal(t, procstat.Known(syscall.Getpgrp()), p.PGID)
	require.Equal(t, procstat.Known(os.Geteuid()), p.UID)
	require.Contains(t, p.Command.Or(""), os.Args[0])
	require.WithinDuration(t, before, p.StartTime.Or(time.Time{}), time.Hour)
	require.False(t, p.CPU.Known())
	require.True(t, p.CPUTime.Known())
	require.Positive(t, p.RSS.Or(0))
	require.Greater(t, p.VMSize.Or(0), p.RSS.Or(0))
	require.Positive(t, p.PSS.Or(0))
	require.Positive(t, p.RealMemory().Or(0))
	again, err := procstat.Read(os.Getpid())
	require.NoError(t, err)
	require.True(t, p.Same(again))
	require.False(t, p.Zombie())
}

func TestChildOfKnownMemory(t *testing.T) {
	leakgate.Check(t)
	start := time.Now()
	cmd := child(t, "memory")
	p, err := procstat.Read(cmd.Process.Pid)
	require.NoError(t, err)

	const most = dirtied + 40<<20 // what a Go program takes beside it
	for name, size := range map[string]procstat.Value[int64]{
		"RSS": p.RSS, "PSS": p.PSS, "private dirty": p.PrivateDirty, "real memory": p.RealMemory(),
	} {
		require.GreaterOrEqual(t, size.Or(0)+p.Swap.Or(0), int64(dirtied), name)
		require.Less(t, size.Or(most), int64(most), name)
	}

	require.LessOrEqual(t, p.PrivateDirty.Or(0), p.RSS.Or(0)+1<<20)
	require.Equal(t, procstat.Known(os.Getpid()), p.PPID)
	require.Equal(t, procstat.Known(cmd.Process.Pid), p.PGID)
	require.Equal(t, procstat.Known("child of a test"), p.Command)
	require.WithinDuration(t, start, p.StartTime.Or(time.Time{}), 2*time.Second, "two clocks of a second each")
}

func TestZombieAndGone(t *testing.T) {
	leakgate.Check(t)
	cmd := exec.Command("true")
	require.NoError(t, cmd.Start())

	pid := cmd.Process.Pid
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			require.NoError(t, err)
			break
		}
	}

	p, err := procstat.Read(pid)
	require.NoError(t, err)
	require.True(t, p.Zombie())
	require.Equal(t, procstat.Known("[true] <defunct>"), p.Command)
	require.Equal(t, procstat.Known(os.Getpid()), p.PPID)

	for name, size := range map[string]procstat.Value[int64]{
		"VMSize": p.VMSize, "RSS": p.RSS, "PSS": p.PSS, "private dirty": p.PrivateDirty, "swap": p.Swap,
		"real memory": p.RealMemory(),
	} {
		require.False(t, size.Known(), name)
	}

	require.NoError(t, cmd.Wait())
	p, err = procstat.Read(pid)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, strconv.Itoa(pid))
	require.Equal(t, procstat.Process{PID: pid}, p)

	for _, pid := range []int{0, -1} {
		_, err := procstat.Read(pid)
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
}

func TestProcessOfAnotherUser(t *testing.T) {
	interpreters.Root(t, "to become another user")
	leakgate.Check(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"reader", strconv.Itoa(os.Getpid())}
	cmd.Env = append(os.Environ(), childVariable+"=reader", "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var p procstat.Process
	require.NoError(t, json.Unmarshal(out, &p))
	require.Equal(t, procstat.Known(0), p.UID)
	require.Positive(t, p.RSS.Or(0))
	require.False(t, p.PSS.Known())
	require.False(t, p.PrivateDirty.Known())
	require.False(t, p.Swap.Known())
	require.Equal(t, p.RSS, p.RealMemory())
}

// BenchmarkSample reports the cost for each of 50 small processes.
func BenchmarkSample(b *testing.B) {
	const processes = 50
	r, w, err := os.Pipe()
	require.NoError(b, err)

	pids := make([]int, 0, processes)
	for range processes {
		cmd := exec.Command("cat")
		cmd.Stdin = r
		require.NoError(b, cmd.Start())
		pids = append(pids, cmd.Process.Pid)
		b.Cleanup(func() { _ = cmd.Wait() })
	}

	_ = r.Close()
	b.Cleanup(func() { _ = w.Close() })
	var s procstat.Sampler
	b.ReportAllocs()

	for b.Loop() {
		sampled, err := s.Sample(pids)
		if err != nil || len(sampled) != processes {
			b.Fatal(err, len(sampled))
		}
	}

	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*processes), "ns/process")
}
