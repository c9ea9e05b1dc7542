package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU time in /proc, the same on all of Go's platforms.
const tick = time.Second / 100

type process struct {
	pid, parent int
	cpu         time.Duration // of all of its threads
}

// parseStat reads /proc/PID/stat.
func parseStat(stat string) (process, error) {
	// The name in parentheses may have spaces and parentheses itself.
	open, closing := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if open < 0 || closing < open {
		return process{}, fmt.Errorf("%q has no name in parentheses", stat)
	}

	const parent, utime, stime = 1, 11, 12 // counted from the name
	fields := strings.Fields(stat[closing+1:])
	if len(fields) <= stime {
		return process{}, fmt.Errorf("%q has too few fields", stat)
	}

	numbers := make([]int, 0, 4)
	for _, field := range []string{strings.TrimSpace(stat[:open]), fields[parent], fields[utime], fields[stime]} {
		n, err := strconv.Atoi(field)
		if err != nil {
			return process{}, fmt.Errorf("%q has %q in place of a number", stat, field)
		}

		numbers = append(numbers, n)
	}

	cpu := time.Duration(numbers[2]+numbers[3]) * tick

	return process{pid: numbers[0], parent: numbers[1], cpu: cpu}, nil
}

type processList []process

// processes are those of the machine.
func processes() (processList, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}

	list := make(processList, 0, len(paths))
	for _, path := range paths {
		stat, err := os.ReadFile(path) //nolint:gosec // G304: a file of /proc
		if err != nil {
			continue // it has ended
		}

		p, err := parseStat(string(stat))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}

		list = append(list, p)
	}

	return list, nil
}

// below are the descendants of a process.
func (l processList) below(pid int) processList {
	children := map[int]processList{}
	for _, p := range l {
		children[p.parent] = append(children[p.parent], p)
	}

	var found processList
	for next := children[pid]; len(next) > 0; {
		p := next[0]
		found, next = append(found, p), append(next[1:len(next):len(next)], children[p.pid]...)
	}

	return found
}

// title is the process's command line, which many change to say what they are.
func (p process) title() string {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
	if err != nil {
		return ""
	}

	return string(bytes.TrimSpace(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
}

// rss is the process's memory in bytes, 0 if it has ended.
func (p process) rss() (int64, error) {
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.pid))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("cannot read the memory of process %d: %w", p.pid, err)
	}

	_, rest, _ := strings.Cut(string(rollup), "\nRss:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0, nil
	}

	kilobytes, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the memory of process %d is %q", p.pid, fields[0])
	}

	return kilobytes << 10, nil
}
