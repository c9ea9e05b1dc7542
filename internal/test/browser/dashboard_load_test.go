package browser

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/gopassenger/passenger/internal/dashboard"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/longtests"
	"github.com/stretchr/testify/require"
)

// maxPageBytes is what the page of 200 applications may take: in the browser's memory, and of the network in the time
// of the test.
const maxPageBytes = 5_000_000

// TestDashboardOf200Applications measures the list of 200 applications with 1,000 processes that all change each
// second. The times are for docs/benchmarks.md.
func TestDashboardOf200Applications(t *testing.T) {
	source := play(200, 5)
	list := serveDashboard(t, source, dashboard.Look)
	b := openBrowser(t)

	var received atomic.Int64
	require.NoError(t, chromedp.Listen(b.ctx, func(event any) {
		if e, ok := event.(*network.EventDataReceived); ok {
			received.Add(e.DataLength)
		}
	}))
	call(b, performance.Enable, performance.EnableParams{})
	b.look(list, views[2])
	require.Equal(t, "200 applications", b.text("document.getElementById('count').textContent"))
	require.Equal(t, 200, run(b, chromedp.Evaluate[int]("document.querySelectorAll('#apps tr').length")))
	run(b, chromedp.Evaluate[bool](`(() => {
		window.frames = [];
		window.looks = 0;

		new PerformanceObserver((l) => frames.push(...l.getEntries().map((e) => e.duration)))
			.observe({ type: "long-animation-frame" });
		new MutationObserver(() => looks++)
			.observe(document.getElementById("total-queue"), { childList: true, characterData: true, subtree: true });

		return true;
	})()`))

	metrics := func() map[string]float64 {
		values := map[string]float64{}
		for _, m := range call(b, performance.GetMetrics, cdp.Empty{}).Metrics {
			values[m.Name] = m.Value
		}

		return values
	}
	before, looks := metrics(), source.looked()
	b.await(fmt.Sprintf("window.looks >= %d", longtests.Rounds(t, 5, 10)))

	after := metrics()

	n := float64(source.looked() - looks)
	for _, name := range []string{"TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration"} {
		t.Logf("%s: %.1f ms a second", name, 1000*(after[name]-before[name])/n)
	}

	t.Logf("frames over 50 ms: %v of %.0f", run(b, chromedp.Evaluate[[]float64]("window.frames")), n)
	call(b, heapprofiler.CollectGarbage, cdp.Empty{})
	heap := call(b, runtime.GetHeapUsage, cdp.Empty{}).UsedSize

	t.Logf("heap %.1f MB, received %.2f MB, %.0f elements", heap/1e6, float64(received.Load())/1e6, after["Nodes"])
	require.Less(t, heap, float64(maxPageBytes))
	require.Less(t, received.Load(), int64(maxPageBytes))
}

// freeAddress is one of this machine on which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()

	return l.Addr().String()
}

// load sends requests until the test ends.
func load(t *testing.T, url string) {
	t.Helper()
	stop := make(chan struct{})

	var sending sync.WaitGroup
	for range 4 {
		sending.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}

				if resp, err := http.Get(url); err == nil {
					_ = resp.Body.Close()
				}
			}
		})
	}

	t.Cleanup(func() {
		close(stop)
		sending.Wait()
		http.DefaultClient.CloseIdleConnections()
	})
}

const slowApp = `import time
def application(environ, start_response):
    time.sleep(0.05)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"from python"]
`

// showsLoad looks at the page of a server that has work.
func (b *browser) showsLoad(list string) {
	b.Helper()
	b.open(list, views[2])
	b.await(isLive)

	number := func(id string) string { return "parseFloat(document.getElementById('" + id + "').textContent)" }
	b.await(number("total-rate") + " > 1")
	b.await(number("total-busy") + " > 0")
	b.await("document.querySelectorAll('#apps tr').length === 1")
	run(b, chromedp.Click("#apps th a"))
	b.await("location.pathname === '/dashboard/app' && " + isLive)
	b.await("document.querySelectorAll('#processes [data-state=f]').length > 0")
	b.await(number("rate") + " > 1 && " + number("p50") + " > 40")
	b.await("document.querySelectorAll('#requests tr').length > 0")
	b.await("document.querySelector('.field path.line').getAttribute('d').length > 20")
	b.requireClean(list)
}

func TestDashboardOfServerUnderLoad(t *testing.T) {
	python := interpreters.Find(t, "python", "python3")
	app := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(app, "passenger_wsgi.py"), []byte(slowApp), 0o600))
	metrics := freeAddress(t)
	url := startServer(t, app, "--python", python, "--metrics-address", metrics, "--dashboard")
	b := openBrowser(t)
	b.noteViolations()
	load(t, url)
	b.showsLoad("http://" + metrics + dashboard.Path)
	require.False(t, run(b, chromedp.Evaluate[bool]("document.getElementById('sign-in').hidden")))
	require.Equal(t, 0, run(b, chromedp.Evaluate[int]("document.querySelectorAll('#processes button').length")))
}

func TestDashboardCommandForOneBrowser(t *testing.T) {
	python := interpreters.Find(t, "python", "python3")
	app := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(app, "passenger_wsgi.py"), []byte(slowApp), 0o600))
	program, registry := buildProgram(t), makeRegistry(t)
	url := startBuilt(t, program, registry, app, "--python", python)
	cmd := exec.Command(program, "dashboard")
	cmd.Env = append(os.Environ(), "PASSENGER_INSTANCE_REGISTRY_DIR="+registry)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
		require.NoError(t, cmd.Wait(), "Ctrl-C is how it is ended")
	})

	page := ""
	for lines := bufio.NewScanner(stdout); page == "" && lines.Scan(); {
		if at := strings.Index(lines.Text(), "http://"); at >= 0 {
			page = lines.Text()[at:]
		}
	}

	b := openBrowser(t)
	b.noteViolations()
	load(t, url)
	b.showsLoad(page)
	require.Empty(t, b.text("document.cookie"), "scripts do not see it")

	// The whole way of an order.
	pid := b.text("document.querySelector('#processes .soft').textContent")
	run(b, chromedp.Click("#processes button"))
	run(b, chromedp.Click("#confirm-yes"))
	b.await(`document.getElementById("news").textContent.endsWith("is being detached.")`)
	b.await(`![...document.querySelectorAll("#processes .soft")].some((e) => e.textContent === "` + pid + `")`)

	other, err := http.Get(page)
	require.NoError(t, err)
	require.NoError(t, other.Body.Close())
	require.Equal(t, http.StatusForbidden, other.StatusCode, "the address works once")
}
