package passenger

import (
	"errors"
	"fmt"
	"time"
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

// ErrNoSuchProcess says that the pool has no process with that id.
var ErrNoSuchProcess = errors.New("passenger: no such process")

// ErrPoolFull says that the pool has no room for another process.
var ErrPoolFull = errors.New("passenger: the pool is full")

// ErrAppDetached is what a get returns whose application was detached.
var ErrAppDetached = errors.New("passenger: the application was detached")

// ErrNoSuchApp says that the pool has no application of that name.
var ErrNoSuchApp = errors.New("passenger: no such application")

// ErrQueueTimeout is what a get returns that waited for too long.
var ErrQueueTimeout = errors.New("passenger: the request waited for too long for a process")

// What became of a Disable.
var (
	// ErrCannotDisable: it is the only process that takes requests, and another
	// one does not start, or may not; what is wrapped beside it says why.
	ErrCannotDisable = errors.New("passenger: the process cannot be disabled: no other one can take its requests")
	// ErrEnabled: the process was enabled again before it was disabled.
	ErrEnabled = errors.New("passenger: the process was enabled again")
	// ErrProcessDetached: the process left the pool meanwhile.
	ErrProcessDetached = errors.New("passenger: the process has left the pool")
)

// DeploymentError is why a rolling restart was called off: the old processes
// serve on. Until the next restart, no process of the new release is started for as
// long as one of the old ones is there, which are not stopped for being idle, nor for
// having had Options.MaxRequests.
type DeploymentError struct {
	Err error     `json:"-"`
	At  time.Time `json:"at"`
}

func (e *DeploymentError) Error() string {
	return fmt.Sprintf("the new release does not start, the old processes serve on: %v", e.Err)
}

func (e *DeploymentError) Unwrap() error { return e.Err }
