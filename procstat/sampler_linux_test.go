package procstat_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/procstat"
)

func whole(pid int) procstat.Process {
	return procstat.Process{
		PID:          pid,
		State:        procstat.Known("S"),
		PPID:         procstat.Known(7),
		PGID:         procstat.Known(8),
		UID:          procstat.Known(1001),
		Command:      procstat.Known("ruby app.rb"),
		StartTime:    procstat.Known(time.Unix(bootTime+5, 0)),
		StartTicks:   procstat.Known[uint64](500),
		CPUTime:      procstat.Known(time.Second),
		VMSize:       procstat.Known[int64](8192000),
		RSS:          procstat.Known(int64(10 * os.Getpagesize())),
		PSS:          procstat.Known[int64](30 << 10),
		PrivateDirty: procstat.Known[int64](20 << 10),
		Swap:         procstat.Known[int64](10 << 10),
	}
}

func TestWhatCannotBeReadIsUnknown(t *testing.T) {
	const pid = 4242
	noStat := procstat.Process{
		PID:          pid,
		UID:          whole(pid).UID,
		Command:      whole(pid).Command,
		PSS:          whole(pid).PSS,
		PrivateDirty: whole(pid).PrivateDirty,
		Swap:         whole(pid).Swap,
	}
	without := func(remove func(p *procstat.Process)) procstat.Process {
		p := whole(pid)
		remove(&p)
		return p
	}
	noMaps := without(func(p *procstat.Process) {
		p.PSS, p.PrivateDirty, p.Swap = procstat.Value[int64]{}, procstat.Value[int64]{}, procstat.Value[int64]{}
	})
	noUID := without(func(p *procstat.Process) { p.UID = procstat.Value[int]{} })
	noStart := without(func(p *procstat.Process) { p.StartTime = procstat.Value[time.Time]{} })
	commandIs := func(s string) procstat.Process {
		return without(func(p *procstat.Process) { p.Command = procstat.Known(s) })
	}

	const unreadable = "unreadable"
	for name, test := range map[string]struct {
		file, content string
		want          procstat.Process
	}{
		"nothing wrong":          {"4242/other", "x", whole(pid)},
		"stat unreadable":        {"4242/stat", unreadable, noStat},
		"stat empty":             {"4242/stat", "", noStat},
		"stat garbage":           {"4242/stat", "garbage\n", noStat},
		"stat ends early":        {"4242/stat", "4242 (app)", noStat},
		"stat inside out":        {"4242/stat", ")(", noStat},
		"stat of words":          {"4242/stat", "4242 (app) S a b c d e f g", noStat},
		"status unreadable":      {"4242/status", unreadable, noUID},
		"status empty":           {"4242/status", "", noUID},
		"status garbage":         {"4242/status", "\x00\xff:::\nUid\nUid:\tx\n", noUID},
		"status has many owners": {"4242/status", "Tgid:\t9\nUid:\t1\t1\t1\t1\t1\t1\nNSpid:\t9\n", noUID},
		"status ends early":      {"4242/status", "Name:\tapp\nTgid:\t9\n", noUID},
		"maps unreadable":        {"4242/smaps_rollup", unreadable, noMaps},
		"maps empty":             {"4242/smaps_rollup", "", noMaps},
		"maps garbage":           {"4242/smaps_rollup", "garbage", noMaps},
		"maps garbage in lines":  {"4242/smaps_rollup", "a\nb\nc\n", noMaps},
		"maps of no numbers":     {"4242/smaps_rollup", "a\nRss: many kB\n", noMaps},
		"maps of nothing":        {"4242/smaps_rollup", rollup(0, 0, 0, 0), noMaps},
		"command line unreadable": {
			"4242/cmdline", unreadable,
			without(func(p *procstat.Process) { p.Command = procstat.Value[string]{} }),
		},
		"command line empty":  {"4242/cmdline", "", commandIs("[app) (x)]")},
		"command line forges": {"4242/cmdline", "a\nb\x00\x1b[0m\x00\xff\x00", commandIs("a?b ?[0m ?")},
		"command line is a title": {
			"4242/cmdline", "Passenger RubyApp: /srv/shop\x00\x00\x00\x00",
			commandIs("Passenger RubyApp: /srv/shop"),
		},
		"command line long": {
			"4242/cmdline", strings.Repeat("x", 4095) + "é" + strings.Repeat("y", 9000),
			commandIs(strings.Repeat("x", 4095)),
		},
		"system's stat unreadable": {"stat", unreadable, noStart},
		"system's stat empty":      {"stat", "", noStart},
		"system's stat garbage":    {"stat", "btime x\n", noStart},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeProc(t)
			f.process(pid, 500, 100)
			if test.content == unreadable {
				f.unreadable(test.file)
			} else {
				f.write(test.file, test.content)
			}

			s := procstat.Sampler{Root: f.root}
			processes, err := s.Sample([]int{pid})
			require.NoError(t, err)
			require.Equal(t, map[int]procstat.Process{pid: test.want}, processes)
		})
	}
}

func TestSummingUpTheMaps(t *testing.T) {
	f := newFakeProc(t)
	f.process(5, 500, 100)
	require.NoError(t, os.Remove(filepath.Join(f.root, "5/smaps_rollup")))
	const mapping = "7f00-7f10 rw-p 00000000 00:00 0 \nSize: 99 kB\nRss: 20 kB\nPss: 15 kB\nPrivate_Dirty: 10 " +
		"kB\nSwap: 5 kB\nVmFlags: rd wr\n"
	f.write("5/smaps", mapping+mapping)
	s := procstat.Sampler{Root: f.root}
	processes, err := s.Sample([]int{5})
	require.NoError(t, err)
	require.Equal(t, whole(5), processes[5])
}

func TestOnlyProcessesThatExist(t *testing.T) {
	f := newFakeProc(t)
	f.process(5, 500, 100)
	f.process(6, 500, 100)
	require.NoError(t, os.Remove(filepath.Join(f.root, "6/stat")), "it ends while it is read")
	s := procstat.Sampler{Root: f.root}
	processes, err := s.Sample([]int{-1, 0, 4, 5, 6, 5})
	require.NoError(t, err)
	require.Equal(t, map[int]procstat.Process{5: whole(5)}, processes)
}

func TestNoProcIsNotNoProcess(t *testing.T) {
	for name, root := range map[string]string{"absent": filepath.Join(t.TempDir(), "none"), "empty": t.TempDir()} {
		s := procstat.Sampler{Root: root}
		processes, err := s.Sample([]int{5, 6})
		require.ErrorIs(t, err, errors.ErrUnsupported, name)
		require.NotErrorIs(t, err, fs.ErrNotExist, name)
		require.Equal(t, map[int]procstat.Process{5: {PID: 5}, 6: {PID: 6}}, processes, name)
	}
}

// clock is moved by hand.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func TestCPUPercent(t *testing.T) {
	f := newFakeProc(t)
	c := &clock{now: time.Unix(bootTime, 0).Add(time.Hour)}
	s := procstat.Sampler{Root: f.root, Now: c.read}

	var unknown procstat.Value[float64]
	for _, step := range []struct {
		why   string
		after time.Duration
		start uint64
		ticks uint64
		want  procstat.Value[float64]
	}{
		{"the first", 0, 500, 1000, unknown},
		{"half of a processor", 5 * time.Second, 500, 1250, procstat.Known(50.)},
		{"three processors", 5 * time.Second, 500, 2750, procstat.Known(300.)},
		{"too soon", 50 * time.Millisecond, 500, 2755, procstat.Known(300.)},
		{"and from then on", 50 * time.Millisecond, 500, 2760, procstat.Known(100.)},
		{"idle", 5 * time.Second, 500, 2760, procstat.Known(0.)},
		{"another process", 5 * time.Second, 501, 3000, unknown},
		{"the other one", 10 * time.Second, 501, 3100, procstat.Known(10.)},
		{"less than before", 5 * time.Second, 501, 3000, unknown},
		{"the clock stands", 0, 501, 3000, unknown},
		{"the clock goes back", -time.Minute, 501, 3100, unknown},
	} {
		c.now = c.now.Add(step.after)
		f.process(5, step.start, step.ticks)
		processes, err := s.Sample([]int{5})
		require.NoError(t, err)
		got, known := processes[5].CPU.Get()
		require.Equal(t, step.want.Known(), known, step.why)
		require.InDelta(t, step.want.Or(0), got, 0.001, step.why)
	}
}

func TestForgetting(t *testing.T) {
	f := newFakeProc(t)
	c := &clock{now: time.Unix(bootTime, 0)}
	s := procstat.Sampler{Root: f.root, Now: c.read}
	percent := func(pids ...int) procstat.Value[float64] {
		c.now = c.now.Add(time.Second)
		processes, err := s.Sample(pids)
		require.NoError(t, err)

		return processes[5].CPU
	}
	f.process(5, 500, 100)
	require.False(t, percent(5).Known())
	require.True(t, percent(5).Known())
	f.remove(5)
	require.False(t, percent(5).Known())
	f.process(5, 500, 100)
	require.False(t, percent(5).Known(), "it was gone")
	require.False(t, percent(6).Known())
	require.False(t, percent(5).Known(), "it was not asked for")
}
