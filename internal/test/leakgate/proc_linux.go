package leakgate

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func openFDs() map[string]string {
	const dir = "/proc/self/fd"
	fds := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fds
	}

	for _, e := range entries {
		// That of ReadDir itself is gone by now.
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			fds[e.Name()] = target
		}
	}

	return fds
}

// ours are the children of this process, zombies included, and every process
// that has one of the markers in its environment.
func ours(markers []string) map[int]string {
	found := map[int]string{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return found
	}

	self := os.Getpid()
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == self {
			continue
		}

		dir := filepath.Join("/proc", e.Name())
		stat, err := os.ReadFile(filepath.Join(dir, "stat")) //nolint:gosec // G304: a file of /proc
		if err != nil {
			continue
		}

		name, state, parent := parseStat(string(stat))
		if parent == self {
			found[pid] = name + ", our child, state " + state
			continue
		}

		environ, err := os.ReadFile(filepath.Join(dir, "environ")) //nolint:gosec // G304: a file of /proc
		if err != nil {
			continue
		}

		for _, marker := range markers {
			if bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+marker+"\x00")) {
				found[pid] = name + ", which has " + marker
			}
		}
	}

	return found
}

func parseStat(stat string) (name, state string, parent int) {
	// The name may hold anything, parentheses too.
	i := strings.LastIndexByte(stat, ')')
	if i < 0 {
		return stat, "", 0
	}

	fields := strings.Fields(stat[i+1:])
	if len(fields) < 2 {
		return stat[:i+1], "", 0
	}

	parent, _ = strconv.Atoi(fields[1])

	return stat[:i+1], fields[0], parent
}
