package peercred

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Of returns who is at the other end; known is false where the system does not
// tell.
func Of(conn *net.UnixConn) (c Cred, known bool, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Cred{}, false, err
	}

	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return Cred{}, false, err
	}

	if credErr != nil {
		return Cred{}, false, os.NewSyscallError("getsockopt", credErr)
	}

	return Cred{UID: int(cred.Uid), GID: int(cred.Gid), PID: int(cred.Pid)}, true, nil
}
