package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/agent"
)

// A server that starts or ends takes no calls, and has no instance directory.
func TestStopWaitsForAServerThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	cfg := agent.DefaultConfig()
	cfg.InstanceRegistryDir = t.TempDir()

	find := func(t *testing.T) (held *os.File, server *agent.RunningServer) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "pid")
		held, err := os.Create(path)
		require.NoError(t, err)
		t.Cleanup(func() { _ = held.Close() })
		_, err = held.WriteString(strconv.Itoa(os.Getpid()))
		require.NoError(t, err)
		require.NoError(t, unix.Flock(int(held.Fd()), unix.LOCK_EX))

		server, err = agent.FindServer(path)
		require.NoError(t, err)
		t.Cleanup(func() { _ = server.Close() })
		require.True(t, server.Alive)

		return held, server
	}

	t.Run("until it has ended", func(t *testing.T) {
		t.Parallel()
		held, server := find(t)
		stopped := make(chan error, 1)
		go func() { stopped <- stop(t.Context(), &cfg, server, stopTime) }()
		require.NoError(t, held.Close())
		require.NoError(t, <-stopped)
	})

	t.Run("and that may have its instance directory elsewhere", func(t *testing.T) {
		t.Parallel()
		_, server := find(t)
		err := stop(t.Context(), &cfg, server, time.Millisecond)
		require.ErrorContains(t, err, "no instance in "+cfg.InstanceRegistryDir+" is its: name its directory with "+
			"--instance-registry-dir, or end it with 'kill "+strconv.Itoa(os.Getpid())+"'")
	})

	t.Run("until the user has enough", func(t *testing.T) {
		t.Parallel()
		_, server := find(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := stop(ctx, &cfg, server, stopTime)
		require.ErrorContains(t, err, "interrupted while the server with PID "+strconv.Itoa(os.Getpid()))
	})
}
