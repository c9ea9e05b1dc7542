package passengercaddy_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkFrontCPU measures the CPU time of the Caddy process for a request, with the
// directive and with reverse_proxy to the same application, which take turns.
func BenchmarkFrontCPU(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(b, err)
	require.NoError(b, l.Close())
	alone := exec.CommandContext(b.Context(), programs.app)
	alone.Env = append(os.Environ(), "PORT="+port)
	require.NoError(b, alone.Start())
	b.Cleanup(func() {
		_ = alone.Process.Kill()
		_ = alone.Wait()
	})
	s := start(b, func(s *server) string {
		return s.global(own) + s.site(0, app("")) + s.site(1, "reverse_proxy 127.0.0.1:"+port)
	})

	for range 5 {
		for i, name := range []string{"passenger", "reverse_proxy"} {
			b.Run(name, func(b *testing.B) { s.measure(b, i) })
		}
	}
}

func (s *server) measure(b *testing.B, port int) {
	c := client(b)
	ask := func() error {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.url(port, "/hello"), http.NoBody)
		if err != nil {
			return err
		}
		return answerOf(c, r)
	}
	require.Eventually(b, func() bool { return ask() == nil }, patience, patience/1000) // it has started

	before := cpuTicks(b, s.cmd.Process.Pid)
	for b.Loop() {
		if err := ask(); err != nil {
			b.Fatal(err)
		}
	}
	used := cpuTicks(b, s.cmd.Process.Pid) - before
	b.ReportMetric(float64(used)*10_000/float64(b.N), "front-µs/op")
}

// cpuTicks are hundredths of a second, of user and system.
func cpuTicks(b *testing.B, pid int) int {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(b, err)
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err := strconv.Atoi(fields[11])
	require.NoError(b, err)
	system, err := strconv.Atoi(fields[12])
	require.NoError(b, err)

	return user + system
}
