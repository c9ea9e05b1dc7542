package spawner

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// eachSocket calls f with the inode of each socket that the attempt's process, or one that it has started, has open, as
// long as f returns true.
func (a *attempt) eachSocket(f func(inode uint64) bool) {
	marker := MarkerVar + "=" + a.gupid
	for _, pid := range pids() {
		// A session cannot be entered from outside. A marker can be in anybody's environment.
		if !isInSession(pid, a.child.pid) &&
			(!mayBelongTo(pid, a.identity.uid) || !startedWith(pid, marker) || !belongsTo(pid, a.identity.uid)) {
			continue
		}

		if !eachSocketOf(pid, f) {
			return
		}
	}
}

// eachSocketOf is eachSocket for one process. It reports whether f has always returned true.
func eachSocketOf(pid int, f func(inode uint64) bool) bool {
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return true
	}

	for _, e := range entries {
		target, err := os.Readlink(dir + e.Name())
		name, ok := strings.CutPrefix(target, "socket:[")
		if err != nil || !ok {
			continue
		}

		inode, err := strconv.ParseUint(strings.TrimSuffix(name, "]"), 10, 64)
		if err == nil && !f(inode) {
			return false
		}
	}

	return true
}

// hasSessionUser reports whether a process of a session runs as a user.
func hasSessionUser(session, uid int) bool {
	for _, pid := range pids() {
		if isInSession(pid, session) && belongsTo(pid, uid) {
			return true
		}
	}

	return false
}
