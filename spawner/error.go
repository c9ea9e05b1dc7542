package spawner

import (
	"fmt"

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
	// AppName, AppRoot and Command say what was to be started.
	AppName, AppRoot string
	Command          []string
	// Journey tells how far the spawn came.
	Journey Journey
	// Output is what the process printed, the last MaxCapturedOutput bytes.
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
