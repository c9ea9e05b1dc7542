// Package peercred tells who is at the other end of a Unix socket.
package peercred

// Cred is who it was when the connection was made, as the kernel says.
type Cred struct {
	UID, GID int
	// PID may be another process's by now.
	PID int
}
