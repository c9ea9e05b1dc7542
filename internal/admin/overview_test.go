package admin

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/procstat"
	"github.com/gopassenger/passenger/status"
)

var lookedAt = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func busyProcess(sessions, long int) passenger.ProcessSnapshot {
	return passenger.ProcessSnapshot{
		State:        passenger.ProcessEnabled,
		Concurrency:  2,
		Sessions:     sessions,
		LongSessions: long,
		Metrics: passenger.ProcessMetrics{
			RSS: procstat.Known[int64](155 << 20),
			CPU: procstat.Known(50.),
		},
	}
}

// shop and blog are two applications, of which one is in trouble.
func shopAndBlog(live bool) *Overview {
	shop := passenger.GroupSnapshot{
		Name:        "/srv/shop (production)",
		Generation:  7,
		QueueLength: 3,
		Spawning:    1,
		Processes: []passenger.ProcessSnapshot{
			busyProcess(2, 2),
			busyProcess(0, 0),
			{State: passenger.ProcessDetached},
		},
		LastSpawnError: &passenger.SpawnFailure{At: lookedAt.Add(-3 * time.Minute), Summary: "no\x1b[31m database"},
	}
	pool := &passenger.Snapshot{
		At:          lookedAt,
		MaxPoolSize: 6,
		Groups:      []passenger.GroupSnapshot{{Name: "/srv/blog (production)"}, shop},
	}

	return newOverview(pool, []status.Figures{{
		App:     "/srv/shop (production)",
		Address: "shop.example.com",
		Recent:  status.Recent{Requests: 12.34, P95: .12},
		Points:  []status.Point{{Requests: 0}, {Requests: 5}, {Requests: 10, P95: 1.5}},
	}}, []status.Incident{
		{At: lookedAt.Add(-2 * time.Minute), App: "/srv/shop (production)", Summary: "process 7 ended by itself"},
		{At: lookedAt.Add(-4 * time.Minute), App: "/srv/shop (production)", Summary: "an older one"},
		{At: lookedAt.Add(-2 * time.Hour), App: "/srv/blog (production)", Summary: "one of the night"},
		{At: lookedAt, App: "/srv/gone (production)", Summary: "one that is not there"},
	}, []string{"http://127.0.0.1:3000/"}, live)
}

func TestTableOfApplications(t *testing.T) {
	lines := shopAndBlog(false).Table(TableStyle{Width: 80})
	require.Equal(t, strings.TrimPrefix(`
APPLICATION                      BUSY  REQ/S    P95 MEMORY RESTARTS LAST FAILURE
/srv/blog (production)            0/0      0      -      -        0      2 h ago
/srv/shop (production)          1/2+1   12.3  120ms   310M        7    2 min ago
  ! 3 wait for a process: see passenger explain
  ! WebSockets and streams hold 2 of 4 slots
  ! a start failed 3 min ago: no?[31m database (see passenger status --show=er..
  ! 2 min ago: process 7 ended by itself (see passenger incidents) `, "\n"),
		strings.Join(lines, "\n")+" ")
}

func TestWideTableHasURLs(t *testing.T) {
	lines := shopAndBlog(false).Table(TableStyle{Width: 120, Colour: true})
	require.Contains(t, lines[0], "URL")
	require.Contains(t, lines[1], "http://127.0.0.1:3000/")
	require.Contains(t, lines[2], "shop.example.com")
	require.Contains(t, lines[3], "\x1b[33m")
}

func TestLiveTableHasTheLastSeconds(t *testing.T) {
	o := shopAndBlog(true)
	lines := o.Table(TableStyle{Width: 80, Live: true, Unicode: true})
	require.Equal(t, "/srv/shop (production)         1/2+1   10.0   1.5s   310M  100% ▁▅█", lines[2])
	require.Contains(t, o.Table(TableStyle{Width: 80, Live: true})[2], " =#")
	require.Equal(t, "03:04:05  2 of 6 processes, 1 busy  10.0 requests/s  310M  CPU 100%", o.Headline())
}

func TestTableFitsItsWidth(t *testing.T) {
	o := shopAndBlog(true)
	o.Apps[0].Name = "/srv/" + strings.Repeat("a very long name ", 20)
	o.Apps[0].URL = strings.Repeat("http://example.com/", 20)

	for _, live := range []bool{false, true} {
		for _, width := range []int{64, 80, 109, 110, 200} {
			for _, line := range o.Table(TableStyle{Width: width, Live: live, Unicode: true}) {
				require.LessOrEqual(t, utf8.RuneCountInString(line), width, line)
			}
		}
	}

	require.Equal(t, o.Table(TableStyle{Width: 64}), o.Table(TableStyle{Width: 3}))
}

func TestOverviewIsSorted(t *testing.T) {
	a := AppOverview{Name: "a", Requests: 1, P95: 3, Memory: 2, CPU: 1, Busy: 1}
	b := AppOverview{Name: "b", Requests: 2, P95: 2, Memory: 2, CPU: 3, Busy: 1}
	c := AppOverview{Name: "c", Requests: 3, P95: 1, Memory: 9, CPU: 2, Busy: 5}

	for order, want := range map[OverviewOrder]string{
		ByName: "abc", ByRequests: "cba", ByP95: "abc", ByMemory: "cab", ByCPU: "bca", ByBusy: "cab",
	} {
		o := &Overview{Apps: []AppOverview{b, c, a}}
		require.True(t, order.Known())
		o.Sort(order)
		require.Equal(t, want, o.Apps[0].Name+o.Apps[1].Name+o.Apps[2].Name, "%c", order)
	}

	require.False(t, OverviewOrder('x').Known())
}

func TestShortLogLine(t *testing.T) {
	for line, want := range map[string]string{
		`time=2026-11-30T03:13:33.942Z level=INFO msg="x y" a=b`: `03:13:33 "x y" a=b`,
		`time=2026-11-30T03:13:33.942Z level=ERROR msg=x`:        `03:13:33 level=ERROR msg=x`,
		"time=now level=INFO msg=x":                              "time=now level=INFO msg=x",
		"anything":                                               "anything",
		"":                                                       "",
	} {
		require.Equal(t, want, ShortLogLine(line))
	}
}

func TestFiguresAreShort(t *testing.T) {
	require.Equal(t, []string{"0", "0.1", "99.9", "100", "12k"},
		[]string{rateText(0), rateText(.1), rateText(99.9), rateText(100), rateText(12345)})
	require.Equal(t, []string{"-", "0.2ms", "10ms", "1.0s", "120s"}, []string{
		latencyText(0),
		latencyText(200 * time.Microsecond),
		latencyText(10 * time.Millisecond),
		latencyText(time.Second),
		latencyText(2 * time.Minute),
	})
	require.Equal(t, []string{"-", "1M", "999M", "1.0G", "20G"},
		[]string{bytesText(0), bytesText(1 << 20), bytesText(999 << 20), bytesText(1 << 30), bytesText(20 << 30)})
	require.Equal(t, []string{"0 s", "59 s", "2 min", "47 h", "2 d"},
		[]string{Age(-1), Age(59 * time.Second), Age(150 * time.Second), Age(47 * time.Hour), Age(48 * time.Hour)})
}
