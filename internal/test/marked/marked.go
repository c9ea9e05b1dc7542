// Package marked finds the processes of a test: those that have inherited an
// environment variable from it.
package marked

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// settled is the age, from the first look at it, at which a process is expected to execute no other program. Tests
	// look many times a second, and reading /proc takes longer than the looks are apart.
	settled = time.Second
	// forgotten is the time without a look after which a process ID may be another's.
	forgotten = 10 * time.Second
)

// known are the environments of processes, by their IDs.
var known struct {
	mu      sync.Mutex
	looked  time.Time
	entries map[int]*environment
}

type environment struct {
	text  []byte // with a zero byte before each entry and behind the last
	since time.Time
}

// environments are those of all processes but this one.
func environments() map[int][]byte {
	known.mu.Lock()
	defer known.mu.Unlock()
	now := time.Now()
	before := known.entries
	if now.Sub(known.looked) > forgotten {
		before = nil
	}

	known.looked, known.entries = now, map[int]*environment{}
	found := map[int][]byte{}

	for _, pid := range processIDs() {
		e := before[pid]
		if e == nil || now.Sub(e.since) < settled {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
			if err != nil {
				continue // it has ended, or is another user's
			}

			since := now
			if e != nil {
				since = e.since
			}

			e = &environment{text: append([]byte{0}, text...), since: since}
		}

		known.entries[pid] = e
		found[pid] = e.text
	}

	return found
}

func processIDs() (pids []int) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()

	names, _ := dir.Readdirnames(-1) // what was read before an error counts
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}

	return pids
}

// Has reports whether the environment of a process has the entry now. A process that has just begun has that of its
// parent, until it executes a program.
func Has(pid int, entry string) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && bytes.Contains(append([]byte{0}, text...), []byte("\x00"+entry+"\x00"))
}

// Processes are those whose environment has the entry, NAME=VALUE, but for this
// one, with their command lines.
func Processes(entry string) map[int]string {
	found := map[int]string{}
	for pid, environ := range environments() {
		if !bytes.Contains(environ, []byte("\x00"+entry+"\x00")) {
			continue
		}

		// A zombie has an empty command line.
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && len(line) > 0 {
			found[pid] = strings.ReplaceAll(string(line), "\x00", " ")
		}
	}

	return found
}

// Children are those of them that parent has started, in the order of their ids.
func Children(entry string, parent int) (pids []int) {
	for pid := range Processes(entry) {
		if of, _ := parentOf(pid); of == parent {
			pids = append(pids, pid)
		}
	}

	slices.Sort(pids)

	return pids
}

// Core is the core of a server, whose process is its watchdog; zero means that there is none. While a core ends there
// may be two, of which it is the newer. Other children of the watchdog are what a core has left behind.
func Core(entry string, watchdog int) (core int) {
	newest := -1
	for pid, line := range Processes(entry) {
		if !strings.HasSuffix(line, " core ") {
			continue
		}

		if parent, started := parentOf(pid); parent == watchdog && started > newest {
			core, newest = pid, started
		}
	}

	return core
}

// parentOf returns the process that has started another one, and when it did, in the kernel's unit.
func parentOf(pid int) (parent, started int) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}

	// The name, in parentheses, may have anything in it. The fields behind it count from 3.
	const ofParent, ofStart = 4 - 3, 22 - 3

	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= ofStart {
		return 0, 0
	}

	parent, _ = strconv.Atoi(fields[ofParent]) // the kernel has written numbers
	started, _ = strconv.Atoi(fields[ofStart])

	return parent, started
}
