package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

const cgroups = "/sys/fs/cgroup"

// newCgroup makes a cgroup whose memory has a limit, in the hierarchy of either
// version, and returns its directory. It is gone after the test.
func newCgroup(t testing.TB, limit int) string {
	t.Helper()
	interpreters.Root(t, "to make a cgroup")
	parent, file, err := findMemoryCgroup()
	if err != nil {
		interpreters.Missing(t, "cgroup", err.Error())
	}

	dir, err := os.MkdirTemp(parent, "passenger-test") //nolint:usetesting // a directory elsewhere is no cgroup
	if err != nil {
		interpreters.Missing(t, "cgroup", err.Error())
	}

	t.Cleanup(func() { eventually(t, func() error { return unix.Rmdir(dir) }) })
	require.NoError(t, os.WriteFile(filepath.Join(dir, file), fmt.Append(nil, limit), 0o600))

	return dir
}

// findMemoryCgroup returns the directory of this process's own cgroup, or the root of
// the hierarchy, and which of the files has a limit.
func findMemoryCgroup() (dir, file string, err error) {
	const controller = "memory"
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", "", err
	}

	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) == 3 && slices.Contains(strings.Split(fields[1], ","), controller) {
			return filepath.Join(cgroups, controller, fields[2]), "memory.limit_in_bytes", nil
		}
	}

	controllers, err := os.ReadFile(filepath.Join(cgroups, "cgroup.subtree_control"))
	if err == nil && slices.Contains(strings.Fields(string(controllers)), controller) {
		return cgroups, "memory.max", nil
	}

	return "", "", errors.New("no cgroup can limit memory")
}
