package apiserver

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// checkServer looks at who listens: any user who may write in the socket's directory
// could have put another one there.
func checkServer(conn net.Conn, socket string) error {
	peer, known := peerOf(conn)
	if !known || peer.UID == 0 || peer.UID == os.Geteuid() {
		return nil
	}

	info, err := os.Stat(filepath.Dir(socket))
	if err != nil {
		return fmt.Errorf("cannot find out which user the socket belongs to: %w", err)
	}

	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int64(stat.Uid) == int64(peer.UID) {
		return nil
	}

	return &UntrustedServerError{Socket: socket, UID: peer.UID}
}
