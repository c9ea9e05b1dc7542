package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCallsOfARequest(t *testing.T) {
	calls, err := parseCalls(`     calls syscall
--------- ----------------
     3000 recvfrom
     2000 sendto
       50 futex
--------- ----------------
     5050 total
`, 1000)
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"recvfrom": 3, "sendto": 2, "futex": 0.05}, calls)

	_, err = parseCalls("", 1)
	require.ErrorContains(t, err, "strace counted nothing")
}

func TestOnlyCallsThatDoNotWaitDecide(t *testing.T) {
	b := &bench{settings: settings{connections: []int{16}}}
	before, now := map[string]float64{"sendto": 2, "futex": 1}, map[string]float64{"sendto": 2.2, "futex": 9}
	rows := b.callRows("node", before, now)
	require.Equal(t, []checkRow{
		{App: "node", Connections: 16, What: "futex", Before: 1, Now: 9, Ratio: 9},
		{App: "node", Connections: 16, What: "sendto", Before: 2, Now: 2.2, Ratio: 1.1},
		{
			App: "node", Connections: 16, What: "system calls that do not wait",
			Before: 2, Now: 2.2, Ratio: 1.1, Counts: true,
		},
	}, rows)
	require.False(t, rows[0].isWorse())
	require.True(t, rows[2].isWorse())
}

// What else the machine does happens to both builds of a round.
func TestEachRoundIsComparedWithItself(t *testing.T) {
	before := &row{Rounds: []round{{FrontCPU: 10}, {FrontCPU: 20}, {failed: true, FrontCPU: 1}}}
	now := &row{Rounds: []round{{FrontCPU: 10}, {FrontCPU: 22}, {FrontCPU: 100}}}
	r := cpuRow("node", before, now)
	require.InDelta(t, 1.05, r.Ratio, 1e-9)
	require.False(t, r.isWorse())
}
