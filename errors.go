package passenger

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gopassenger/passenger/internal/redact"
)

// ErrClosed is returned by calls to a pool that shuts down or is closed.
var ErrClosed = errors.New("passenger: the pool is closed")

// ErrSessionClosed is returned by Session.Connect after Close.
var ErrSessionClosed = errors.New("passenger: the session is closed")

// ErrExhausted is returned by Session.Connect when this program, or the system, has no file
// descriptor or memory left for a connection. The process stays in the pool, since it has not
// failed.
var ErrExhausted = errors.New("passenger: cannot connect: no descriptor or memory left: raise the open file limit")

// QueueFullError is returned by a get when the queue of its application is full.
type QueueFullError struct {
	// AppName is the name of the application's group.
	AppName string
	// Limit is the limit in effect.
	Limit int
	// ID identifies the refused request in the log, on the error page and for the hook.
	ID string
}

func (e *QueueFullError) Error() string {
	return fmt.Sprintf("Request queue full (configured max. size: %d) for %s", e.Limit, e.AppName)
}

// ConnectError reports why no connection to a process was made. Nothing was sent, and the process
// has been detached, so that another get reaches another process.
type ConnectError struct {
	AppName string
	PID     int
	Err     error
}

func (e *ConnectError) Error() string {
	return fmt.Sprintf("cannot connect to process %d of %s: %v", e.PID, e.AppName, e.Err)
}

func (e *ConnectError) Unwrap() error { return e.Err }

// ShutdownError reports what had not ended when the context of Shutdown ended. errors.Is finds the
// context's error.
type ShutdownError struct {
	// Sessions is the number of open sessions that were cut, Waiting that of gets that failed with
	// ErrClosed, and Processes that of processes that were killed.
	Sessions, Waiting, Processes int
	Err                          error
}

func (e *ShutdownError) Error() string {
	return fmt.Sprintf("forced shutdown: %d sessions cut, %d waiting gets refused, %d processes killed: %v",
		e.Sessions, e.Waiting, e.Processes, e.Err)
}

func (e *ShutdownError) Unwrap() error { return e.Err }

// ErrNoSuchProcess reports that the pool has no process with this ID.
var ErrNoSuchProcess = errors.New("passenger: no such process")

// ErrPoolFull reports that the pool has no room for another process.
var ErrPoolFull = errors.New("passenger: the pool is full")

// ErrCrashed is returned by a get of an application whose last process crashed in its first request, in a full
// pool: for a few seconds, no process of another application is stopped for it.
var ErrCrashed = errors.New("passenger: the last process crashed in its first request, and the pool is full")

// ErrAppDetached is returned by a get when its application is detached.
var ErrAppDetached = errors.New("passenger: the application was detached")

// ErrNoSuchApp reports that the pool has no application of this name.
var ErrNoSuchApp = errors.New("passenger: no such application")

// ErrQueueTimeout is returned by a get that waited longer than Options.MaxRequestQueueTime.
var ErrQueueTimeout = errors.New("passenger: the request waited for too long for a process")

// Errors of Disable.
var (
	// ErrCannotDisable: no other process takes requests, and none starts. The error that it is
	// wrapped with says why.
	ErrCannotDisable = errors.New("passenger: the process cannot be disabled: no other one can take its requests")
	// ErrEnabled: the process was enabled before it was disabled.
	ErrEnabled = errors.New("passenger: the process was enabled again")
	// ErrProcessDetached: the process left the pool before it was disabled.
	ErrProcessDetached = errors.New("passenger: the process has left the pool")
)

// DeploymentError reports why a rolling restart failed: the new release does not start, and the old
// processes keep serving. Until the next restart, and while an old process is left, the pool starts
// no process of the new release, and stops no old process for being idle or for having had
// Options.MaxRequests.
type DeploymentError struct {
	Err error     `json:"-"`
	At  time.Time `json:"at"`
}

func (e *DeploymentError) Error() string {
	return fmt.Sprintf("the new release does not start, the old processes keep serving: %v", e.Err)
}

func (e *DeploymentError) Unwrap() error { return e.Err }

// MarshalJSON writes the reason, without secrets, and the time.
func (e *DeploymentError) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Message string    `json:"message"`
		At      time.Time `json:"at"`
	}{e.message(), e.At})
}

// message is the reason without what the name of the type says.
func (e *DeploymentError) message() string {
	if e.Err == nil {
		return ""
	}

	return redact.Text(e.Err.Error())
}

// errSpawnCanceled is the cause of a canceled spawn.
var errSpawnCanceled = errors.New("passenger: the release that the process was started from has been replaced")

// errNotSpawned is the result of a spawn that did not come to its end, because an observer or a
// Spawner of the program's own panicked, or ended its goroutine.
var errNotSpawned = errors.New("passenger: the spawn was interrupted: " +
	"an observer or Config.Spawner panicked or ended its goroutine")

// errRestartReplaced ends a restart, for an observer, when another one replaces it.
var errRestartReplaced = errors.New("passenger: another restart has begun")

// errInterrupted is the result of a get that ran a callback of another get, which panicked.
var errInterrupted = errors.New("passenger: the request was interrupted by a panic in the callback of another one")
