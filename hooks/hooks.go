// Package hooks lets others know what happens to processes and requests: Go
// functions, and scripts that an administrator has configured.
//
// An [Event] is what happened. A [Hook] receives it; [Scripts] is the Hook that
// runs programs. A [Runner] stands between those who must not wait and hooks that
// may take as long as they like.
//
// Scripts do not inherit that this program ignores a signal, as package spawner
// says of processes.
package hooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Name is which event it is, as in the configuration and in PASSENGER_HOOK_NAME.
type Name string

// The events of the pool.
const (
	// AttachedProcess: a process was added to its group.
	AttachedProcess Name = "attached_process"
	// DetachedProcess: a process was removed from its group, for whatever reason.
	DetachedProcess Name = "detached_process"
	// SpawnFailed: a process could not be started.
	SpawnFailed Name = "spawn_failed"
	// QueueFullError: a request was refused because too many wait already.
	QueueFullError Name = "queue_full_error"
	// MaxRequestTimeReached: a request runs for longer than it may, and its
	// process is about to be killed.
	MaxRequestTimeReached Name = "max_request_time_reached"
	// AfterInitializeSupergroup: a group was made.
	AfterInitializeSupergroup Name = "after_initialize_supergroup"
	// BeforeDestroySupergroup: a group is about to go.
	BeforeDestroySupergroup Name = "before_destroy_supergroup"
)

// The events of the watchdog.
const (
	BeforeWatchdogInitialization Name = "before_watchdog_initialization"
	AfterWatchdogInitialization  Name = "after_watchdog_initialization"
	BeforeWatchdogShutdown       Name = "before_watchdog_shutdown"
	AfterWatchdogShutdown        Name = "after_watchdog_shutdown"
)

// Names returns every name.
func Names() []Name {
	return []Name{
		AttachedProcess, DetachedProcess, SpawnFailed, QueueFullError, MaxRequestTimeReached,
		AfterInitializeSupergroup, BeforeDestroySupergroup,
		BeforeWatchdogInitialization, AfterWatchdogInitialization, BeforeWatchdogShutdown, AfterWatchdogShutdown,
	}
}

// Prefix is what the names of hooks begin with in the configuration.
const Prefix = "hook_"

// ParseName returns the name that s is, with or without Prefix.
func ParseName(s string) (Name, error) {
	for _, n := range Names() {
		if strings.TrimPrefix(s, Prefix) == string(n) {
			return n, nil
		}
	}

	return "", fmt.Errorf("there is no hook %q; the hooks are %s", s, Names())
}

// validate makes sure that h can be called.
func validate(h Hook) error {
	if h == nil {
		return errors.New("it is nil: leave it out")
	}

	if f, ok := h.(HookFunc); ok && f == nil {
		return errors.New("its function is nil: leave it out")
	}

	if s, ok := h.(selective); ok {
		if len(s.names) == 0 {
			return fmt.Errorf("On was given no event: name some of %s", Names())
		}

		for _, name := range s.names {
			if !slices.Contains(Names(), name) {
				return fmt.Errorf("there is no event %q; the events are %s", name, Names())
			}
		}

		return validate(s.Hook)
	}

	return nil
}

// Event is what happened. Which fields it has depends on its name.
type Event struct {
	Name Name

	// AppRoot is the directory of the application.
	AppRoot string
	// GroupName is the name of the application's group.
	GroupName string
	// PID is the process attached, detached, or about to be killed.
	PID int

	// ErrorMessage says why a process could not be started or a request was
	// refused.
	ErrorMessage string
	// ErrorID identifies the failure in the log and on the error page.
	ErrorID string
	// AppErrorMessage is what the application itself gave as the reason, with its
	// traceback, or else the last of what it printed.
	AppErrorMessage string
	// ErrorAdvice says what to do; may be empty.
	ErrorAdvice string
	// ErrorReport is the path of a file that tells all of the failure; empty means
	// that there is none.
	ErrorReport string
	// Err is the error behind a failed start, for hooks in Go.
	Err error

	// RequestPath is the path of the request that takes too long, query included.
	RequestPath string
	// RequestHost is its Host; empty when it has none.
	RequestHost string

	// IncidentFile is the path of a file with all that was known of the process before it ended; empty means that there
	// is none.
	IncidentFile string

	// Count is how many events of a name this one stands for, when they came
	// faster than their hooks ran. Zero means one.
	Count int
}

// Hook receives events. Run is called concurrently, but a Runner calls it in
// order, one at a time, for the fired events of one process or group. It should
// return when ctx ends. What follows from an error is up to who tells of the
// event; of those of the pool, nothing but a line in the log.
type Hook interface {
	Run(ctx context.Context, e Event) error
}

// Selective is a Hook that receives only events whose names it has. Has must
// always return the same for a name.
type Selective interface {
	Hook
	Has(name Name) bool
}

// HookFunc is a function that receives every event.
type HookFunc func(ctx context.Context, e Event) error

// Run calls f.
func (f HookFunc) Run(ctx context.Context, e Event) error { return f(ctx, e) }

// On returns a Hook that tells h of events of these names only.
func On(h Hook, names ...Name) Selective { return selective{Hook: h, names: names} }

type selective struct {
	Hook
	names []Name
}

func (s selective) Has(name Name) bool { return slices.Contains(s.names, name) && has(s.Hook, name) }

func has(h Hook, name Name) bool {
	s, ok := h.(Selective)
	return !ok || s.Has(name)
}
