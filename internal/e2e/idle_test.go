package e2e_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkIdleCPU measures the CPU time that a server takes that has a process
// and nothing to do. The aim is less than a millisecond in a second.
func BenchmarkIdleCPU(b *testing.B) {
	const span = 2 * time.Second
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
}

// cpuTime is what all threads of the server have taken so far.
func (s *server) cpuTime(b *testing.B) (sum time.Duration) {
	b.Helper()
	tasks, err := os.ReadDir(s.proc(b, "task"))
	require.NoError(b, err)
	for _, task := range tasks {
		line, err := os.ReadFile(s.proc(b, "task/"+task.Name()+"/schedstat"))
		require.NoError(b, err)
		onCPU, _, _ := strings.Cut(string(line), " ")
		ns, err := strconv.ParseInt(onCPU, 10, 64)
		require.NoError(b, err)
		sum += time.Duration(ns)
	}
	return sum
}
