// Package marked finds the processes of a test: those that have inherited an
// environment variable from it.
package marked

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Processes are those whose environment has the entry, NAME=VALUE, but for this
// one, with their command lines.
func Processes(entry string) map[int]string {
	found := map[int]string{}

	files, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is right
	for _, file := range files {
		environ, err := os.ReadFile(file) //nolint:gosec // G304: it is below /proc
		if err != nil || !bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+entry+"\x00")) {
			continue
		}

		dir := filepath.Dir(file)
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && pid != os.Getpid() {
			line, _ := os.ReadFile(filepath.Join(dir, //nolint:gosec // G304: the same; empty: it has just gone
				"cmdline"))
			found[pid] = strings.ReplaceAll(string(line), "\x00", " ")
		}
	}

	return found
}

// Children are those of them that parent has started, in the order of their ids.
func Children(entry string, parent int) (pids []int) {
	for pid := range Processes(entry) {
		if parentOf(pid) == parent {
			pids = append(pids, pid)
		}
	}

	slices.Sort(pids)

	return pids
}

// Core is the core of a server, whose process is its watchdog; 0: there is none.
// Other children of the watchdog are what a core has left behind.
func Core(entry string, watchdog int) int {
	for pid, line := range Processes(entry) {
		if strings.HasSuffix(line, " core ") && parentOf(pid) == watchdog {
			return pid
		}
	}

	return 0
}

func parentOf(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}

	// The name, in parentheses, may have anything in it.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}

	parent, _ := strconv.Atoi(fields[1]) // the kernel has written a number

	return parent
}
