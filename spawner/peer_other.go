//go:build !linux

package spawner

import "net"

// checkPeer leaves it at what the file system says.
func checkPeer(net.Conn, int) error { return nil }

func checkPID(int, int) error { return nil }
