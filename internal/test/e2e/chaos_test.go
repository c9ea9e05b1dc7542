package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/longtests"
	"github.com/gopassenger/passenger/internal/test/smalldisk"
)

// A core is killed with requests that wait and a process that starts: those
// who wait lose their connections, and nothing of the start is left.
// Faults: E13.
func TestCoreKilledWhileSpawningLeavesNoHalfSpawnedProcess(t *testing.T) {
	t.Parallel()
	const waiting = 100
	dir := t.TempDir()

	// It never serves, and does not end when it is asked to.
	script := filepath.Join(dir, "slow")
	require.NoError(t, os.WriteFile(script,
		[]byte("#!/bin/sh\ntrap '' TERM\necho started $$ >&2\nwhile :; do sleep 1000; done\n"), 0o700))
	s := start(t, &launch{
		dir:  dir,
		args: []string{"--start-command", script, "--min-instances", "0", "--max-request-queue-size", "0"},
	})

	replies := make([]<-chan fetched, 0, waiting)
	for range waiting {
		replies = append(replies, s.client(t).background(t, "/"))
	}

	s.Stderr.Await(t, "started ", 1, s.Ended)
	before := s.Processes()
	core := s.core(t)
	require.NoError(t, syscall.Kill(core, syscall.SIGKILL))

	for _, reply := range replies {
		require.Error(t, (<-reply).err)
	}

	require.NotEqual(t, core, s.core(t))
	eventually(t, func() error {
		for pid := range s.Processes() {
			if _, old := before[pid]; old && pid != s.Cmd.Process.Pid {
				return fmt.Errorf("process %d is left of the core that was killed", pid)
			}
		}

		return nil
	})
}

// Cores and applications are killed at random. What is lost is no more than
// what they had, and in the end all is as it should be. A long run kills a hundred.
// Faults: E14.
func TestRandomKillsCostOnlyRequestsInFlight(t *testing.T) {
	t.Parallel()
	kills := longtests.Rounds(t, 10, 100)

	const clients, processes = 6, 2
	s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--min-instances", fmt.Sprint(processes))})
	s.requireApps(t, processes)
	l := s.load(t, clients, askOnce)

	random := rand.New(rand.NewPCG(1, 2))
	for range kills {
		victims := append(s.apps(t), s.core(t))
		_ = syscall.Kill(victims[random.IntN(len(victims))], syscall.SIGKILL) // it may have gone
		l.Progress(t, 2*clients)
	}

	l.Stop()
	require.LessOrEqual(t, l.Lost.Load(), int64(kills*clients))
	s.requireApps(t, processes)
	s.client(t).get(t, "/")
}

// A full disk costs lines of the log, and nothing else; the log says so when
// there is room again.
// Faults: F4.
func TestFullLogDiskCostsOnlyLogLines(t *testing.T) {
	t.Parallel()
	disk := smalldisk.Mount(t, "size=64k")
	log, filler := filepath.Join(disk, "log"), filepath.Join(disk, "filler")
	s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--log-file", log)})
	c := s.client(t)
	c.get(t, "/")
	_ = os.WriteFile(filler, make([]byte, 128<<10), 0o600) // as much as there is room for

	for i := range 200 {
		require.Contains(t, c.get(t, fmt.Sprintf("/print?%0100d", i)).body, "app: ")
	}

	require.NoError(t, os.Remove(filler))
	eventually(t, func() error {
		c.get(t, "/print?room")
		b, err := os.ReadFile(log)
		if err == nil && !strings.Contains(string(b), "lines of this log could not be written") {
			err = fmt.Errorf("the log has %d bytes and says nothing of it", len(b))
		}

		return err
	})
	c.CloseIdleConnections()
	s.stop(t)
}
