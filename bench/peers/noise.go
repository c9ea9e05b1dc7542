package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	// maxForeign is the share of the processors that others may take during a round that counts.
	maxForeign = 0.1
	// maxRepeats bounds how often a round that others have disturbed is repeated.
	maxRepeats = 3
)

// busyTime is how long the processors have worked for processes, and been taken away by a hypervisor. Interrupts are
// left out: whose they are is not known.
func busyTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("cannot read how busy the machine is: %w", err)
	}

	return parseBusyTime(string(text))
}

// parseBusyTime reads the first line of /proc/stat.
func parseBusyTime(stat string) (time.Duration, error) {
	const user, nice, system, steal = 1, 2, 3, 8
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) <= steal || fields[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q, and not with the times of all processors", line)
	}

	var sum time.Duration
	for _, i := range []int{user, nice, system, steal} {
		ticks, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat has %q in place of a time", fields[i])
		}

		sum += time.Duration(ticks) * tick
	}

	return sum, nil
}

// foreignShare is the share of the processors that took neither us nor ours: busy is how long they worked in the time
// elapsed, and own how long of that for the round.
func foreignShare(busy, own, elapsed time.Duration) float64 {
	if elapsed <= 0 {
		return 0
	}

	return max(0, float64(busy-own)/float64(elapsed)/float64(runtime.NumCPU()))
}
