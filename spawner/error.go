package spawner

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gopassenger/passenger/loaderproto"
)

// Category groups spawn errors by where to look.
type Category uint8

// The categories.
const (
	// CategoryInternal: a fault of ours, or of how we were called.
	CategoryInternal Category = iota + 1
	// CategoryFileSystem: a file or directory is missing or not accessible.
	CategoryFileSystem
	// CategoryOperatingSystem: the system refused to start the process.
	CategoryOperatingSystem
	// CategoryStartup: the application ended instead of serving.
	CategoryStartup
	// CategoryExplained: the application said itself what is wrong.
	CategoryExplained
	// CategoryProtocol: the program does not speak the spawn protocol.
	CategoryProtocol
	// CategoryTimeout: the application took too long.
	CategoryTimeout
	// CategoryCanceled: the spawn was called off.
	CategoryCanceled
	// CategoryHealth: the application started, but did not pass its health
	// check or a warm-up request that it must pass.
	CategoryHealth
)

func (c Category) String() string {
	switch c {
	case CategoryInternal:
		return "internal error"
	case CategoryFileSystem:
		return "file system error"
	case CategoryOperatingSystem:
		return "operating system error"
	case CategoryStartup:
		return "application start error"
	case CategoryExplained:
		return "error reported by the application"
	case CategoryProtocol:
		return "protocol error"
	case CategoryTimeout:
		return "time-out"
	case CategoryCanceled:
		return "canceled"
	case CategoryHealth:
		return "failed health check"
	}

	return fmt.Sprintf("Category(%d)", uint8(c))
}

// SpawnError is why a process could not be started. errors.As finds the
// *loaderproto.Error or *fs.PathError behind it, errors.Is the context's.
type SpawnError struct {
	Category Category
	// Summary is one sentence that names the thing and the reason.
	Summary string
	// Advice says what to do, one paragraph; may be empty.
	Advice string
	// ID is eight hex digits that stand in the log and on the error page.
	ID string
	// AppName, AppRoot, Environment and Command say what was to be started.
	AppName, AppRoot, Environment string
	Command                       []string
	// Preloader reports whether the process that failed was the application's preloader.
	Preloader bool
	// User is the user that the process ran as; empty before that was decided.
	User string
	// Env is the environment that the process was started with. It has
	// secrets, and so does not show itself when it is printed.
	Env Env
	// Limits are the process's resource limits, as the system prints them;
	// empty if it did not start.
	Limits string
	// Journey tells how far the spawn came.
	Journey Journey
	// Output is what the process printed, the last MaxCapturedOutput bytes. In it and in
	// Message, stack frames of our loaders are folded.
	Output string
	// OutputDropped counts the bytes before Output that were not kept.
	OutputDropped int64
	// ExitStatus is how the process ended, if it did by itself.
	ExitStatus string
	// Message is what the application said, with CategoryExplained.
	Message *loaderproto.Message
	// Err is the cause.
	Err error
}

func (e *SpawnError) Error() string {
	return fmt.Sprintf("cannot start %s: %s (error %s)", e.AppName, e.Summary, e.ID)
}

func (e *SpawnError) Unwrap() error { return e.Err }

// Env is an environment, as NAME=value.
type Env []string

// Format prints how many variables there are, whatever the verb.
func (e Env) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "[%d variables]", len(e)) }

// MarshalJSON writes the variables' names only.
func (e Env) MarshalJSON() ([]byte, error) {
	names := make([]string, len(e))
	for i, v := range e {
		names[i], _, _ = strings.Cut(v, "=")
	}

	return json.Marshal(names)
}
