package main

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSettings(t *testing.T) {
	s, err := parseSettings([]string{
		"-scenario", "hello,64k", "-apps", "rack", "-connections", "8,32", "-rounds", "2", "-duration", "2s", "-peers",
		"NGINX",
	}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, []string{"hello", "64k"}, s.scenarios)
	require.Equal(t, []string{"rack"}, s.apps)
	require.Equal(t, []int{8, 32}, s.connections)
	require.Equal(t, 2*time.Second, s.duration)
	require.True(t, s.peers.MatchString("nginx + puma"))

	for _, wrong := range [][]string{
		{"-scenario", "hallo"},
		{"-apps", "perl"},
		{"-connections", "0"},
		{"-rounds", "0"},
		{"-duration", "1ms"},
		{"-peers", "("},
		{"-slow-kind", "all"},
		{"-slow-kind", "both,uploads"},
		{"hello"},
	} {
		_, err := parseSettings(wrong, io.Discard)
		require.Error(t, err, "%v", wrong)
	}
}
