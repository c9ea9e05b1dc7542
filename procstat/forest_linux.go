package procstat

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxScanAge is the number of samples that one pass over all processes serves, if no process was
// started since.
const maxScanAge = 12

// maxEnviron limits the part of an environment that is searched, in bytes.
const maxEnviron = 256 << 10

// forest has the parents of all processes of the system. Package procfs would read more than is
// needed of each of what may be thousands of processes.
type forest struct {
	links map[int]link
	// marks are those of processes that have lost their parents. Each is read once.
	marks map[int]mark
	// newest is the process that was started last when links were read; age is the number of
	// samples since.
	newest string
	age    int
}

// link places a process among others.
type link struct {
	parent, group, session int
	start                  uint64
}

type mark struct {
	start uint64
	value string
}

// members returns the descendants of each root.
func (f *forest) members(r *reader, marker string, roots []Root) (map[int][]int, error) {
	newest := r.newestPID()
	f.age++
	if f.links == nil || newest == "" || newest != f.newest || f.age >= maxScanAge {
		links, err := r.links(len(f.links))
		if err != nil {
			return nil, err
		}

		f.links, f.newest, f.age = links, newest, 0
	}

	isRoot := make(map[int]bool, len(roots))

	marked := make(map[string]int, len(roots))
	for _, root := range roots {
		isRoot[root.PID] = true
		if root.Mark != "" {
			marked[root.Mark] = root.PID
		}
	}

	above := f.parentsOf(isRoot)
	members := map[int][]int{}
	marks := map[int]mark{}
	if marker != "" {
		f.findOrphans(r, marker, above, isRoot, marked, marks)
	}

	f.marks = marks
	for pid := range f.links {
		if root := above[pid]; root != 0 && root != pid {
			members[root] = append(members[root], pid)
		}
	}

	return members, nil
}

// parentsOf returns the root that each process belongs to; 0 means none.
func (f *forest) parentsOf(isRoot map[int]bool) map[int]int {
	above := make(map[int]int, len(f.links))
	for pid := range f.links {
		f.climb(pid, isRoot, above)
	}

	return above
}

// climb returns the first root above pid.
func (f *forest) climb(pid int, isRoot map[int]bool, above map[int]int) int {
	var way []int

	root := 0
	for at := pid; ; {
		known, seen := above[at]
		if seen {
			root = known
			break
		}

		l, exists := f.links[at]
		way = append(way, at)

		// Ends a loop, which could appear when processes change during the pass.
		above[at] = 0

		if isRoot[at] {
			root = at
			break
		}

		if !exists {
			break
		}

		// It may have lost its parents, and be in the group or session of a root all the same.
		if isRoot[l.group] || isRoot[l.session] {
			root = l.session
			if isRoot[l.group] {
				root = l.group
			}

			break
		}

		at = l.parent
	}

	for _, at := range way {
		above[at] = root
	}

	return root
}

// findOrphans assigns processes, with their descendants, to roots by their marks. Only children of
// init, or of an ancestor of this process, may have lost their parents.
func (f *forest) findOrphans(r *reader, marker string, above map[int]int, isRoot map[int]bool, marked map[string]int,
	marks map[int]mark,
) {
	adopters := map[int]bool{1: true}
	for pid := r.self(); pid > 1 && !adopters[pid]; pid = f.links[pid].parent {
		adopters[pid] = true
	}

	found := map[int]bool{}
	for pid, l := range f.links {
		if above[pid] != 0 || adopters[pid] || !adopters[l.parent] {
			continue
		}

		m, seen := f.marks[pid]
		// The number may be of another process by now.
		if !seen || m.start != l.start {
			m = mark{start: l.start, value: r.variable(pid, marker)}
		}

		marks[pid] = m
		if root := marked[m.value]; root != 0 && m.value != "" {
			above[pid] = root
			found[pid] = true
		}
	}

	if len(found) == 0 {
		return
	}

	// Once more, from the processes that were found, for their descendants.
	again := make(map[int]int, len(f.links))
	for pid, root := range above {
		if root != 0 && (found[pid] || isRoot[pid]) {
			again[pid] = root
		}
	}

	for pid := range f.links {
		above[pid] = f.climb(pid, isRoot, again)
	}
}

// self is the number of this process in this proc file system.
func (r *reader) self() int {
	name, _ := os.Readlink(filepath.Join(r.root, "self"))
	pid, _ := strconv.Atoi(name) // zero means none
	return pid
}

// newestPID is the number that the system gave to a process or thread last, or empty if it does not
// say.
func (r *reader) newestPID() string {
	b, err := os.ReadFile(filepath.Join(r.root, "loadavg"))
	fields := strings.Fields(string(b))
	if err != nil || len(fields) < 5 || fields[4] == "0" {
		return ""
	}

	// proc(5): the last of the five fields.
	return fields[4]
}

// variable returns a variable of the environment that a process was started with, or "".
func (r *reader) variable(pid int, name string) string {
	proc, err := r.fs.Proc(pid)
	if err != nil {
		return "" // it has ended
	}

	var fd int
	err = asOwner(proc, func() (err error) {
		fd, err = unix.Open(filepath.Join(r.root, strconv.Itoa(pid), "environ"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return "" // another user's
	}

	defer func() { _ = unix.Close(fd) }()

	var environ []byte

	buf := make([]byte, 16<<10)
	for len(environ) < maxEnviron {
		n, err := unix.Read(fd, buf)
		if err != nil || n <= 0 {
			break
		}

		environ = append(environ, buf[:n]...)
	}

	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(name+"=")); ok {
			return string(value)
		}
	}

	return ""
}

// links reads the place of each process, with three system calls for each.
func (r *reader) links(expected int) (map[int]link, error) {
	dir, err := os.Open(r.root)
	if err != nil {
		return nil, unsupported(err)
	}

	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, unsupported(err)
	}

	links := make(map[int]link, expected)

	buf := make([]byte, 1024)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}

		fd, err := unix.Openat(int(dir.Fd()), name+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue // it has ended
		}

		n, err := unix.Read(fd, buf)
		_ = unix.Close(fd)
		if l, ok := parseLink(buf[:max(n, 0)]); err == nil && ok {
			links[pid] = l
		}
	}

	return links, nil
}

// parseLink reads a line of /proc/PID/stat.
func parseLink(line []byte) (l link, ok bool) {
	// The name of the command is in parentheses, and may contain any character.
	fields := bytes.Fields(line[bytes.LastIndexByte(line, ')')+1:])
	const startField = 19
	if len(fields) <= startField {
		return l, false
	}

	for i, to := range []*int{&l.parent, &l.group, &l.session} {
		n, err := strconv.Atoi(string(fields[i+1]))
		if err != nil {
			return l, false
		}

		*to = n
	}

	start, err := strconv.ParseUint(string(fields[startField]), 10, 64)
	l.start = start

	return l, err == nil
}
