package spawner

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"

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
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if ids, ok := strings.CutPrefix(lines.Text(), "Uid:"); ok {
			fields := strings.Fields(ids)
			if len(fields) > 0 && fields[0] == strconv.Itoa(uid) {
				return nil
			}
			return fmt.Errorf("the reported pid %d does not belong to user %d", pid, uid)
		}
	}
	return nil
}
