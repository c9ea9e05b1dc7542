package ustrouter

import (
	"fmt"
	"net"
	"os"
)

// checkPeer makes sure that the other side is root or the own user.
func checkPeer(conn net.Conn) error {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("a connection over %s is not one over a Unix socket", conn.LocalAddr().Network())
	}
	uid, known, err := peerUID(c)
	if err != nil {
		return fmt.Errorf("cannot find out who is at the other end: %w", err)
	}
	if known && uid != 0 && int64(uid) != int64(os.Geteuid()) {
		return fmt.Errorf("at the other end is user %d, who is neither root nor the user of this program", uid)
	}
	return nil
}
