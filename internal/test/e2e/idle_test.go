package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkIdle measures the CPU time that a server, core and watchdog, takes that
// has a process and nothing to do, and their memory, with what they share counted
// once. The aims are less than a millisecond in a second, and 25 MB.
func BenchmarkIdle(b *testing.B) {
	const span = 10 * time.Second // in which the processes' memory is looked at twice
	s := start(b, &launch{dir: b.TempDir(), args: testApp(b)})
	c := s.client(b)
	require.Contains(b, c.get(b, "/").body, "app: ")
	c.CloseIdleConnections()

	var used, passed time.Duration
	for b.Loop() {
		before, began := s.cpuTime(b), time.Now()
		<-time.After(span)
		used += s.cpuTime(b) - before
		passed += time.Since(began)
	}

	b.ReportMetric(0, "ns/op") // it says nothing
	b.ReportMetric(float64(used)/float64(time.Millisecond)/passed.Seconds(), "ms/s")
	b.ReportMetric(float64(s.memory(b))/(1<<20), "MB")
}

// agents are the processes of the server itself.
func (s *server) agents(b *testing.B) []int {
	b.Helper()
	return []int{s.Cmd.Process.Pid, s.core(b)}
}

// memory is the proportional set size of the agents, in bytes.
func (s *server) memory(b *testing.B) (sum int) {
	b.Helper()

	for _, pid := range s.agents(b) {
		rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		require.NoError(b, err)
		m := regexp.MustCompile(`(?m)^Pss: +(\d+) kB$`).FindSubmatch(rollup)
		require.NotNil(b, m, "%s", rollup)
		kB, err := strconv.Atoi(string(m[1]))
		require.NoError(b, err)
		sum += kB << 10
	}

	return sum
}

// cpuTime is what all threads of the agents have taken so far.
func (s *server) cpuTime(b *testing.B) (sum time.Duration) {
	b.Helper()

	for _, pid := range s.agents(b) {
		dir := fmt.Sprintf("/proc/%d/task", pid)
		tasks, err := os.ReadDir(dir)
		require.NoError(b, err)

		for _, task := range tasks {
			line, err := os.ReadFile(filepath.Join(dir, task.Name(), "schedstat"))
			require.NoError(b, err)
			onCPU, _, _ := strings.Cut(string(line), " ")
			ns, err := strconv.ParseInt(onCPU, 10, 64)
			require.NoError(b, err)
			sum += time.Duration(ns)
		}
	}

	return sum
}
