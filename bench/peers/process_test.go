package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseStat(t *testing.T) {
	const rest = " S 12 34 34 0 -1 4194560 1218 0 0 0 250 75 0 0 20 0 9 0 6060 749694976 11468 " +
		"18446744073709551615 1 1 0"

	tests := map[string]struct {
		stat    string
		want    process
		problem string
	}{
		"plain": {
			stat: "99 (nginx)" + rest,
			want: process{pid: 99, parent: 12, cpu: 3250 * time.Millisecond},
		},
		"parentheses in names": {
			stat: "99 (a) R 1 (b)" + rest,
			want: process{pid: 99, parent: 12, cpu: 3250 * time.Millisecond},
		},
		"no name": {stat: "99 nginx S 12", problem: "no name in parentheses"},
		"cut":     {stat: "99 (nginx) S 12 34", problem: "too few fields"},
		"no number": {
			stat:    "99 (nginx) S x 34 34 0 -1 4194560 1218 0 0 0 250 75 0",
			problem: `"x" in place of a number`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat(test.stat)
			if test.problem != "" {
				require.ErrorContains(t, err, test.problem)
				return
			}

			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestBelow(t *testing.T) {
	list := processList{{pid: 1}, {
		pid:    2,
		parent: 1,
	}, {
		pid:    3,
		parent: 2,
	}, {
		pid:    4,
		parent: 1,
	}, {
		pid:    5,
		parent: 4,
	}, {
		pid:    6,
		parent: 3,
	}}
	require.Equal(t, []int{3, 6}, pidsOf(list.below(2)))
	require.Empty(t, list.below(6))
}

func TestProcessesOfThisMachine(t *testing.T) {
	list, err := processes()
	require.NoError(t, err)
	require.Contains(t, pidsOf(list.below(os.Getppid())), os.Getpid())
	rss, err := process{pid: os.Getpid()}.rss()
	require.NoError(t, err)
	require.Greater(t, rss, int64(megabyte))
}

func pidsOf(list processList) []int {
	pids := make([]int, len(list))
	for i, p := range list {
		pids[i] = p.pid
	}

	return pids
}
