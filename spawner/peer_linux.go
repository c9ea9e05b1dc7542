package spawner

import (
	"errors"
	"fmt"
	"io/fs"
	"net"

	"github.com/gopassenger/passenger/internal/peercred"
)

// checkPeer makes sure that a process of uid listens at the other end: the
// file may have been replaced since it was checked.
func checkPeer(conn net.Conn, uid int) error {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return errPeer
	}

	cred, known, err := peercred.Of(unixConn)
	if err != nil {
		return err
	}

	if !known || cred.UID != uid {
		return errPeer
	}

	return nil
}

// checkPID makes sure that a pid that was reported is not another user's. One
// that has no owner passes.
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
