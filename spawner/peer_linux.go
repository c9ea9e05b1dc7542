package spawner

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// checkPeer makes sure that a process of uid listens at the other end: the
// file may have been replaced since it was checked.
func checkPeer(conn net.Conn, uid int) error {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return errPeer
	}
	raw, err := unixConn.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if credErr != nil {
		return os.NewSyscallError("getsockopt", credErr)
	}
	if int64(cred.Uid) != int64(uid) {
		return errPeer
	}
	return nil
}

// checkPID makes sure that a pid that was reported is not another user's. One
// that is nobody's passes.
func checkPID(pid, uid int) error {
	of, err := realUID(pid)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case of != uid:
		return fmt.Errorf("the reported pid %d does not belong to user %d", pid, uid)
	}
	return nil
}
