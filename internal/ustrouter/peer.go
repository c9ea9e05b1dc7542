package ustrouter

import (
	"fmt"
	"net"
	"os"

	"github.com/gopassenger/passenger/internal/peercred"
)

// checkPeer makes sure that the other side is root or the own user.
func checkPeer(conn net.Conn) error {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("a connection over %s is not one over a Unix socket", conn.LocalAddr().Network())
	}

	cred, known, err := peercred.Of(c)
	if err != nil {
		return fmt.Errorf("cannot find out who is at the other end: %w", err)
	}

	if known && cred.UID != 0 && cred.UID != os.Geteuid() {
		return fmt.Errorf("at the other end is user %d, who is neither root nor the user of this program", cred.UID)
	}

	return nil
}
