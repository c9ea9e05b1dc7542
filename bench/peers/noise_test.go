package main

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBusyTime(t *testing.T) {
	d, err := parseBusyTime("cpu  100 20 30 9999 500 60 70 8 0 0\ncpu0 1 2 3\n")
	require.NoError(t, err)
	require.Equal(t, 1580*time.Millisecond, d, "user, nice, system and steal")

	for _, wrong := range []string{"", "cpu 1 2 3\n", "intr 1 2 3 4 5 6 7 8 9\n", "cpu 1 2 x 4 5 6 7 8 9\n"} {
		_, err := parseBusyTime(wrong)
		require.Error(t, err, "%q", wrong)
	}

	before, err := busyTime()
	require.NoError(t, err)
	after, err := busyTime()
	require.NoError(t, err)
	require.GreaterOrEqual(t, after, before)
}

func TestForeignShare(t *testing.T) {
	all := time.Duration(runtime.NumCPU()) * time.Second
	require.InDelta(t, 0.25, foreignShare(all/2, all/4, time.Second), 1e-9)
	require.Zero(t, foreignShare(all/4, all/2, time.Second), "clocks that differ by a tick")
	require.Zero(t, foreignShare(all, 0, 0))
}
