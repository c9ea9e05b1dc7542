package procstat_test

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/procstat"
)

const marker = "TEST_MARK"

// counted is of how many processes each root's figures are.
func counted(t *testing.T, s *procstat.Sampler, roots ...procstat.Root) map[int]int {
	t.Helper()
	trees, err := s.SampleTrees(roots)
	require.NoError(t, err)

	n := map[int]int{}
	for pid, p := range trees {
		n[pid] = p.Processes
		require.Equal(t, procstat.Known(int64(p.Processes)*20<<10), p.PrivateDirty)
		require.Equal(t, procstat.Known(int64(p.Processes)*30<<10), p.RealMemory())
		require.Equal(t, procstat.Known(int64(p.Processes)*30<<10), p.PSS)
	}

	return n
}

func TestTreeHasAllThatTheRootHasStarted(t *testing.T) {
	f := newFakeProc(t)
	s := procstat.Sampler{Root: f.root, Marker: marker}
	f.place(1, 0, 1, 0, 0) // this process, by /proc/self
	f.place(10, 1, 10, 0, 0)
	f.place(11, 10, 10, 0, 0)
	f.place(12, 11, 12, 0, 0) // a session of its own
	f.place(20, 1, 20, 0, 0)
	f.place(21, 20, 20, 0, 0)
	f.place(30, 1, 30, 0, 0) // no one's child
	f.place(31, 30, 30, 0, 0)
	roots := []procstat.Root{{PID: 10, Mark: "ten"}, {PID: 20, Mark: "twenty"}, {PID: 99}}
	require.Equal(t, map[int]int{10: 3, 20: 2}, counted(t, &s, roots...))

	f.place(13, 1, 10, 0, 0) // it has lost its parent
	require.Equal(t, map[int]int{10: 4, 20: 2}, counted(t, &s, roots...))

	f.place(14, 1, 14, 0, 0) // and one that has left its session as well
	f.mark(14, "A=b", marker+"=ten", "C=d")
	f.place(15, 14, 14, 0, 0)
	f.place(16, 15, 16, 0, 0)
	f.mark(30, marker+"=thirty")
	require.Equal(t, map[int]int{10: 7, 20: 2}, counted(t, &s, roots...))

	f.remove(11) // 12 has lost its parent by that, too
	f.place(12, 1, 12, 0, 0)
	f.mark(12, marker+"=ten")
	require.Equal(t, map[int]int{10: 6, 20: 2}, counted(t, &s, roots...))

	// A root below another one is not counted twice.
	f.place(20, 10, 20, 0, 0)
	require.Equal(t, map[int]int{10: 6, 20: 2}, counted(t, &s, roots...))

	// Nor do processes that seem to be in a loop do any harm.
	f.place(30, 31, 30, 0, 0)
	require.Equal(t, map[int]int{10: 6, 20: 2}, counted(t, &s, roots...))
	require.Empty(t, counted(t, &s))
}

func TestTreeWithMemoryThatIsNotAllKnown(t *testing.T) {
	f := newFakeProc(t)
	page := int64(10 * os.Getpagesize())
	f.place(1, 0, 1, 0, 0)
	f.place(10, 1, 10, 0, 0)
	f.place(11, 10, 10, 0, 0)
	real := func() int64 {
		s := procstat.Sampler{Root: f.root}
		trees, err := s.SampleTrees([]procstat.Root{{PID: 10}})
		require.NoError(t, err)
		require.Equal(t, 2, trees[10].Processes)
		n, known := trees[10].RealMemory().Get()
		require.True(t, known)

		return n
	}
	f.unreadable("11/smaps_rollup")
	require.Equal(t, 30<<10+page, real())
	f.unreadable("10/smaps_rollup")
	require.Equal(t, 2*page, real())
	f.remove(11)
	f.place(11, 10, 10, 0, 0)
	require.Equal(t, page+30<<10, real())
}

func TestScanOnlyWhenAProcessWasStarted(t *testing.T) {
	f := newFakeProc(t)
	s := procstat.Sampler{Root: f.root}
	f.place(1, 0, 1, 0, 0)
	f.place(10, 1, 10, 0, 0)
	root := procstat.Root{PID: 10}
	f.newest(10)
	require.Equal(t, map[int]int{10: 1}, counted(t, &s, root))
	f.place(11, 10, 10, 0, 0)
	require.Equal(t, map[int]int{10: 1}, counted(t, &s, root), "the system says that there is no new one")
	f.newest(11)
	require.Equal(t, map[int]int{10: 2}, counted(t, &s, root))
	f.remove(11)
	require.Equal(t, map[int]int{10: 1}, counted(t, &s, root))

	f.place(12, 10, 10, 0, 0)

	for range 20 {
		_, err := s.SampleTrees([]procstat.Root{root})
		require.NoError(t, err)
	}

	require.Equal(t, map[int]int{10: 2}, counted(t, &s, root), "numbers come again in the end")
}

func TestTreeCPU(t *testing.T) {
	f := newFakeProc(t)
	c := &clock{now: time.Unix(bootTime, 0).Add(time.Hour)}
	s := procstat.Sampler{Root: f.root, Now: c.read}
	f.place(1, 0, 1, 0, 0)
	step := func(why string, percent float64, total time.Duration, change func()) {
		t.Helper()
		change()
		c.now = c.now.Add(time.Second)
		trees, err := s.SampleTrees([]procstat.Root{{PID: 10}})
		require.NoError(t, err)
		got, known := trees[10].CPU.Get()

		require.Equal(t, percent >= 0, known, why)
		require.InDelta(t, max(percent, 0), got, 0.001, why)
		require.Equal(t, total, trees[10].CPUTime.Or(0), why)
	}
	step("the first", -1, 3*time.Second, func() {
		f.place(10, 1, 10, 100, 0)
		f.place(11, 10, 10, 200, 0)
	})
	step("both are busy", 150, 4500*time.Millisecond, func() {
		f.place(10, 1, 10, 150, 0)
		f.place(11, 10, 10, 300, 0)
	})
	step("a child ends after 10 ticks more, and was waited for", 10, 4600*time.Millisecond, func() {
		f.remove(11)
		f.place(10, 1, 10, 150, 310)
	})
	step("a child comes and is busy", 50, 5100*time.Millisecond, func() { f.place(12, 10, 10, 50, 0) })
	step("it ends, and is not waited for yet", 0, 5100*time.Millisecond, func() { f.remove(12) })
	step("its parent hears of it later", 5, 5150*time.Millisecond, func() { f.place(10, 1, 10, 155, 360) })
	step("one comes and goes between", 100, 6150*time.Millisecond, func() { f.place(10, 1, 10, 155, 460) })
	step("a child of another one", 20, 6350*time.Millisecond, func() {
		f.place(13, 10, 10, 0, 0)
		f.place(14, 13, 10, 20, 0)
	})
	step("both end, and no parent waits for them", 0, 6350*time.Millisecond, func() {
		f.remove(13)
		f.remove(14)
	})
	step("nothing happens", 0, 6350*time.Millisecond, func() {})
	step("what no parent waited for is forgotten", 30, 6650*time.Millisecond, func() { f.place(10, 1, 10, 155, 490) })
}

// TestTreeOfRealProcesses has a shell with the memory in a child, and again with
// the child in a session of its own and without its parent.
func TestTreeOfRealProcesses(t *testing.T) {
	const mark = "tree-of-real-processes"
	for name, script := range map[string]string{
		"child":      `"$0" & wait`,
		"grandchild": `sh -c '"$0" & wait' "$0" & wait`,
		"orphan":     `(setsid "$0" &); cat`,
	} {
		t.Run(name, func(t *testing.T) {
			leakgate.Check(t)
			cmd := exec.Command("sh", "-c", "exec 3<&0; "+strings.ReplaceAll(script, `"$0"`, `"$0" <&3`),
				"/proc/self/exe")
			self, err := os.Executable()
			require.NoError(t, err)
			cmd.Args[len(cmd.Args)-1] = self
			cmd.Env = append(os.Environ(), childVariable+"=memory", marker+"="+mark, "GORACE=atexit_sleep_ms=0")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			stdin, err := cmd.StdinPipe()
			require.NoError(t, err)
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			t.Cleanup(func() {
				_ = stdin.Close()
				_ = cmd.Wait()
			})
			_, err = bufio.NewReader(stdout).ReadString('\n')
			require.NoError(t, err)

			s := procstat.Sampler{Marker: marker}
			trees, err := s.SampleTrees([]procstat.Root{{PID: cmd.Process.Pid, Mark: mark}, {PID: os.Getpid()}})
			require.NoError(t, err)
			require.GreaterOrEqual(t, trees[cmd.Process.Pid].RealMemory().Or(0), int64(dirtied))
			require.GreaterOrEqual(t, trees[cmd.Process.Pid].Processes, 2)
			require.Equal(t, 1, trees[os.Getpid()].Processes, "what is below another root is that one's")
		})
	}
}

// BenchmarkSampleTrees samples 10 small processes among 500 others, with and
// without one that was started since the last time.
func BenchmarkSampleTrees(b *testing.B) {
	const ours, others = 10, 500
	var roots []procstat.Root
	stdin, w, err := os.Pipe()
	require.NoError(b, err)

	for i := range ours + others {
		cmd := exec.Command("cat")
		cmd.Stdin = stdin
		require.NoError(b, cmd.Start())
		if i < ours {
			roots = append(roots, procstat.Root{PID: cmd.Process.Pid, Mark: strconv.Itoa(i)})
		}

		b.Cleanup(func() { _ = cmd.Wait() })
	}

	_ = stdin.Close()
	b.Cleanup(func() { _ = w.Close() })

	for _, scans := range []bool{false, true} {
		b.Run("scan="+strconv.FormatBool(scans), func(b *testing.B) {
			s := procstat.Sampler{Marker: marker}
			for b.Loop() {
				if scans {
					s = procstat.Sampler{}
				}

				if sampled, err := s.SampleTrees(roots); err != nil || len(sampled) != ours {
					b.Fatal(err, len(sampled))
				}
			}
		})
	}
}
