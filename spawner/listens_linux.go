package spawner

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// listens says whether the attempt's process, or one that it has started,
// listens on the port; known is false if that cannot be found out.
func (a *attempt) listens() (ours, known bool) {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		if !addListeners(sockets, table, a.port, a.identity.uid) {
			return false, false
		}
	}
	if len(sockets) == 0 {
		return false, false
	}
	for inode, sameUser := range sockets {
		if !sameUser {
			delete(sockets, inode)
		}
	}
	if len(sockets) == 0 {
		return false, true
	}
	// What a process has open can be read by its user.
	err := a.identity.withRights(func() error {
		ours = a.holdsSocket(sockets)
		return nil
	})

	return ours, err == nil
}

// holdsSocket reports whether the attempt's process, or one that it has started, has one
// of some sockets.
func (a *attempt) holdsSocket(sockets map[string]bool) bool {
	marker := "\x00" + MarkerVar + "=" + a.gupid + "\x00"
	for _, pid := range pids() {
		p, err := readProc(pid)
		if err != nil || p.uid != a.identity.uid {
			continue
		}
		if p.session != a.child.pid {
			env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
			if err != nil || !strings.Contains("\x00"+string(env), marker) {
				continue
			}
		}
		if hasSocket(pid, sockets) {
			return true
		}
	}

	return false
}

// addListeners adds the inodes of sockets that listen on a port, with whether
// they belong to uid.
func addListeners(sockets map[string]bool, table string, port, uid int) bool {
	f, err := os.Open(table) //nolint:gosec // G304: of the kernel
	if os.IsNotExist(err) {
		return strings.HasSuffix(table, "6")
	}
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	const listen = "0A"
	number := fmt.Sprintf(":%04X", port)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 9 && strings.HasSuffix(fields[1], number) && fields[3] == listen {
			sockets[fields[9]] = fields[7] == strconv.Itoa(uid)
		}
	}
	return lines.Err() == nil
}

func hasSocket(pid int, inodes map[string]bool) bool {
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		target, err := os.Readlink(dir + e.Name())
		inode, ok := strings.CutPrefix(target, "socket:[")
		if err == nil && ok && inodes[strings.TrimSuffix(inode, "]")] {
			return true
		}
	}
	return false
}
