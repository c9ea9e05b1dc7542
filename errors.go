package passenger

import (
	"errors"
	"fmt"
)

// ErrClosed is what a get returns when the pool is shutting down or closed.
var ErrClosed = errors.New("passenger: the pool is closed")

// ErrSessionClosed is what Connect returns after Close.
var ErrSessionClosed = errors.New("passenger: the session is closed")

// ErrExhausted is what Connect returns when this program, or the system, has no
// more files or memory for a connection. The process is not to blame, and stays.
var ErrExhausted = errors.New("passenger: no more files or memory for a connection: raise the limit of open files")

// QueueFullError is what a get returns when too many wait already.
type QueueFullError struct {
	// AppName is the name of the application's group.
	AppName string
	// Limit is the limit that was reached.
	Limit int
	// ID identifies the refused request in the log, on the error page and to the hook.
	ID string
}

func (e *QueueFullError) Error() string {
	return fmt.Sprintf("Request queue full (configured max. size: %d) for %s", e.Limit, e.AppName)
}

// ConnectError is why no connection to a process was made. The process has
// been detached, so another get reaches another one; nothing was sent.
type ConnectError struct {
	AppName string
	PID     int
	Err     error
}

func (e *ConnectError) Error() string {
	return fmt.Sprintf("cannot connect to process %d of %s: %v", e.PID, e.AppName, e.Err)
}

func (e *ConnectError) Unwrap() error { return e.Err }

// ShutdownError says what did not end before Shutdown's context did. errors.Is
// finds the context's error.
type ShutdownError struct {
	// Sessions were open, Waiting gets were answered with ErrClosed, and
	// Processes were killed.
	Sessions, Waiting, Processes int
	Err                          error
}

func (e *ShutdownError) Error() string {
	return fmt.Sprintf("forced shutdown: %d sessions cut, %d waiting gets refused, %d processes killed: %v",
		e.Sessions, e.Waiting, e.Processes, e.Err)
}

func (e *ShutdownError) Unwrap() error { return e.Err }
