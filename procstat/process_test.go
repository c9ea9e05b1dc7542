package procstat_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/procstat"
)

func TestRealMemory(t *testing.T) {
	var unknown procstat.Value[int64]

	known := procstat.Known[int64]
	for name, test := range map[string]struct{ rss, dirty, swap, want procstat.Value[int64] }{
		"all":                {known(30), known(20), known(5), known(25)},
		"no swap":            {known(30), known(20), unknown, known(20)},
		"only resident":      {known(30), unknown, unknown, known(30)},
		"resident and swap":  {known(30), unknown, known(5), known(35)},
		"swapped out wholly": {known(0), known(0), known(5), known(5)},
		"nothing":            {unknown, unknown, unknown, unknown},
		"only swap":          {unknown, unknown, known(5), unknown},
	} {
		p := procstat.Process{RSS: test.rss, PrivateDirty: test.dirty, Swap: test.swap}
		require.Equal(t, test.want, p.RealMemory(), name)
	}
}

func TestSame(t *testing.T) {
	process := func(pid int, start uint64) procstat.Process {
		return procstat.Process{PID: pid, StartTicks: procstat.Known(start)}
	}
	p := process(7, 100)
	require.True(t, p.Same(process(7, 100)))
	require.False(t, p.Same(process(7, 101)), "the number was given to another")
	require.False(t, p.Same(process(8, 100)))
	require.False(t, p.Same(procstat.Process{PID: 7}))
	require.False(t, procstat.Process{PID: 7}.Same(procstat.Process{PID: 7}), "nothing is known")
}
