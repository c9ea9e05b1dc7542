package apiserver

import (
	"net"

	"golang.org/x/sys/unix"
)

func credentials(conn *net.UnixConn) (peer Peer, known bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{}, false
	}
	var cred *unix.Ucred
	err = raw.Control(func(fd uintptr) {
		if c, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			cred = c
		}
	})
	if err != nil || cred == nil {
		return Peer{}, false
	}
	return Peer{UID: int(cred.Uid), GID: int(cred.Gid), PID: int(cred.Pid)}, true
}
