package handler

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// machineMemory is that of the machine, or of the container that this is in.
func machineMemory() int64 {
	total := int64(fallbackMemory)
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		total = int64(info.Totalram) * int64(info.Unit) //nolint:gosec // G115: far below
	}

	if limit, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if bytes, err := strconv.ParseInt(strings.TrimSpace(string(limit)), 10, 64); err == nil { // else it is "max"
			total = min(total, bytes)
		}
	}

	return total
}
