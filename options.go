package passenger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/internal/defaultlog"
	"github.com/gopassenger/passenger/spawner"
)

// Defaults of [Config] and [Options].
const (
	DefaultMaxPoolSize         = 6
	DefaultMaxRequestQueueSize = 100
	DefaultPoolIdleTime        = 300 * time.Second
	DefaultStatThrottleRate    = 10 * time.Second
	DefaultDrainTimeout        = time.Minute

	DefaultMaxPreloaderIdleTime = 300 * time.Second
)

// Unlimited switches a limit of [Options] or [Config] off, as any negative number does.
const Unlimited = -1

// Config is what a [Pool] is made of. The zero value is usable.
type Config struct {
	// MaxPoolSize is how many processes the pool keeps for all applications
	// together, those that are being started included and those that finish
	// their last requests not. Zero means DefaultMaxPoolSize; there is always a limit.
	MaxPoolSize int
	// Spawner starts the processes; nil: the real one, spawner.New, which the
	// pool then closes. One that was passed in is the caller's to close, after
	// the pool.
	Spawner spawner.Factory
	// PoolIdleTime is after how long an idle process is stopped, of an
	// application that has more than its minimum; after it once more, the pool
	// forgets an application without a minimum that has no process and nobody
	// who waits. Zero means DefaultPoolIdleTime, Unlimited never.
	PoolIdleTime time.Duration
	// OutOfBandWork makes a process do its out-of-band work and waits for the
	// end of it, or of ctx; handler.OutOfBandWork does. nil: requests for such
	// work are ignored.
	OutOfBandWork func(ctx context.Context, s *Session) error
	// Hooks are told of what happens to processes and requests; see package
	// hooks. None holds up a request, or anything else but a process that is
	// to be killed because its request takes too long.
	Hooks []hooks.Hook
	// Observer is told of requests, processes and restarts; nil: nobody is.
	Observer Observer
	// MetricsInterval is how often the memory and CPU use of the processes is
	// read, which the memory limits need; 0: never.
	MetricsInterval time.Duration
	// Logger gets what the operator should know; see LogTo. The zero value passes on
	// warnings, errors and what applications print to stderr to slog.Default, and
	// Silent nothing.
	Logger logr.Logger
	// SelfChecks verifies the pool's invariants after each change, which takes
	// time. SelfCheckFailed is told of one that does not hold, after the change; nil:
	// that is a panic. For tests, as spawnertest.NewPool makes pools for; without it
	// an impossible state is logged.
	SelfChecks      bool
	SelfCheckFailed func(error)
}

// Validate reports every fault of c, joined.
func (c *Config) Validate() error {
	var errs []error
	if c.MaxPoolSize < 0 {
		errs = append(errs, fmt.Errorf("MaxPoolSize: %d is negative: it must be at least 1, or 0 for %d", c.MaxPoolSize,
			DefaultMaxPoolSize))
	}

	if c.MetricsInterval < 0 {
		errs = append(errs, fmt.Errorf("MetricsInterval: %s is negative: it must be positive, or 0 for never",
			c.MetricsInterval))
	}

	for i, h := range c.Hooks {
		if h == nil {
			errs = append(errs, fmt.Errorf("%s: number %d is nil", "Hooks", i))
		}
	}

	return errors.Join(errs...)
}

func (c *Config) setDefaults() {
	if c.MaxPoolSize == 0 {
		c.MaxPoolSize = DefaultMaxPoolSize
	}

	if c.PoolIdleTime == 0 {
		c.PoolIdleTime = DefaultPoolIdleTime
	}

	c.Logger = defaultlog.Or(c.Logger)
}

// LogTo returns a logger for the configurations of this module's packages that logs to
// log.
func LogTo(log *slog.Logger) logr.Logger { return logr.FromSlogHandler(log.Handler()) }

// Silent returns a logger that discards everything, unlike the zero one. That
// logr.Discard returns is the zero one.
func Silent() logr.Logger { return defaultlog.Silent() }

// Options say which application a session is wanted of, and within which
// limits. The zero value of every field but App.Root is usable, and of a limit it is
// the default; Unlimited, as any negative number, means that there is no limit. The
// pool keeps a copy. A change is passed with a later get, and takes effect as each field
// says. Fields without a word on it are read when the application's group is made, by
// the first get, and again by the get that finds that a file asks for a restart; see
// RestartDir.
type Options struct {
	// App is what to run. Its group name, root, user, group and environment
	// tell applications apart: a get whose App differs in one of them belongs
	// to another application, whatever its name.
	App spawner.App
	// MinProcesses are kept at all times once the first get has come, also
	// after a crash. The latest get's value counts.
	MinProcesses int
	// MaxProcesses bounds the processes of this application. Zero, as Unlimited, means
	// that only the pool's limit counts. The latest get's value counts.
	MaxProcesses int
	// MaxRequestQueueSize bounds how many gets wait for a process of this
	// application. Zero means DefaultMaxRequestQueueSize. The value of the arriving
	// get counts, for that get.
	MaxRequestQueueSize int
	// MaxRequestQueueTime bounds how long this get waits, which is answered
	// with ErrQueueTimeout then. Zero, as Unlimited, means no limit.
	MaxRequestQueueTime time.Duration
	// StickySessionID is the Session.StickyID of the process that this get
	// wants to go back to; 0: any will do. One that is gone is replaced by any
	// other; one that is busy is waited for.
	StickySessionID uint32
	// MaxRequests is after how many requests a process is replaced. Zero, as
	// Unlimited, means never. The latest get's value counts.
	MaxRequests int
	// MaxRequestsJitter, from 0 to 1, is how much earlier than that, as a
	// share, processes are replaced, each at a time of its own, so that not
	// all are at once.
	MaxRequestsJitter float64
	// MaxUnanswered is after how many requests in a row without a response, as
	// Session.Report says, a process is replaced. Zero means DefaultMaxUnanswered,
	// Unlimited never.
	MaxUnanswered int
	// MaxRequestTime is how long a request may take; then its process is
	// killed. Zero, as Unlimited, means no limit. The latest get's value counts.
	MaxRequestTime time.Duration
	// MemoryLimit is how many bytes of memory of its own a process may use,
	// together with all that it has started; then it finishes its requests and is
	// replaced. With more than HardMemoryLimit it is killed. Zero, as Unlimited,
	// means no limit. Both need Config.MetricsInterval.
	MemoryLimit, HardMemoryLimit int64
	// MaxOutOfBandWorkInstances is how many processes do out-of-band work at
	// the same time. Zero means 1.
	MaxOutOfBandWorkInstances int
	// MaxPreloaderIdleTime is how long after the last spawn a preloader is
	// stopped. Zero means DefaultMaxPreloaderIdleTime, Unlimited never.
	MaxPreloaderIdleTime time.Duration
	// RestartDir is where the files restart.txt and always_restart.txt are
	// looked for, relative to the application's directory; empty: "tmp". A
	// changed time of the first restarts the application; the second does at
	// every get.
	RestartDir string
	// StatThrottleRate is how often they are looked for at most. Zero means
	// DefaultStatThrottleRate, Unlimited at every get.
	StatThrottleRate time.Duration
	// BlockingRestarts makes restarts blocking ones if nothing else is said.
	BlockingRestarts bool
	// RestartBatchSize is how many processes a rolling restart replaces at a
	// time. Zero means 1, Unlimited all of them.
	RestartBatchSize int
	// DrainTimeout is how long a process that a restart has replaced may take
	// for the requests that it has. Zero means DefaultDrainTimeout, Unlimited for ever.
	DrainTimeout time.Duration
	// KeepLongSessions lets a process that is to end live for as long as it has
	// sessions that have called Session.OnDetach, such as WebSockets, which are not
	// told then, whatever DrainTimeout says. They are when the pool shuts down.
	KeepLongSessions bool
	// ForceMaxConcurrentRequestsPerProcess replaces what the application says
	// of its concurrency. Zero means that what it says counts. Read when a process is
	// attached.
	ForceMaxConcurrentRequestsPerProcess int
}

// Validate reports every fault of o, joined.
func (o *Options) Validate() error { return errors.Join(o.App.Validate(), o.validateOwn()) }

// validateOwn is Validate without App, of which a get counts only where it makes the group or restarts it.
func (o *Options) validateOwn() error {
	var errs []error
	if o.MinProcesses < 0 {
		errs = append(errs, fmt.Errorf("MinProcesses: %d is negative: it must be at least 0", o.MinProcesses))
	}

	if o.MaxProcesses > 0 && o.MinProcesses > o.MaxProcesses {
		errs = append(errs, fmt.Errorf("MinProcesses: %d is above MaxProcesses, %d: at most those can be kept",
			o.MinProcesses, o.MaxProcesses))
	}

	if !(o.MaxRequestsJitter >= 0 && o.MaxRequestsJitter <= 1) { // NaN is neither
		errs = append(errs, fmt.Errorf("MaxRequestsJitter: %v is no share: it must be from 0 to 1",
			o.MaxRequestsJitter))
	}

	if o.MaxOutOfBandWorkInstances < 0 {
		errs = append(errs, fmt.Errorf("MaxOutOfBandWorkInstances: %d is negative: it must be at least 1, or 0 for 1",
			o.MaxOutOfBandWorkInstances))
	}

	if strings.ContainsRune(o.RestartDir, 0) {
		errs = append(errs, fmt.Errorf("RestartDir: %q holds a NUL", o.RestartDir))
	}

	return errors.Join(errs...)
}

// isLike reports whether p has the same limits, and what validateOwn looks at, as most
// gets have.
func (o *Options) isLike(p *Options) bool {
	return o.MinProcesses == p.MinProcesses && o.MaxProcesses == p.MaxProcesses &&
		o.MaxRequests == p.MaxRequests && o.MaxRequestTime == p.MaxRequestTime &&
		o.MaxRequestsJitter == p.MaxRequestsJitter &&
		o.MaxOutOfBandWorkInstances == p.MaxOutOfBandWorkInstances && o.RestartDir == p.RestartDir
}

// clone returns a copy that shares nothing with the caller's.
func (o *Options) clone() Options {
	c := *o
	c.App = o.App.Clone()

	return c
}

func (o *Options) queueLimit() int {
	if o.MaxRequestQueueSize == 0 {
		return DefaultMaxRequestQueueSize
	}

	return o.MaxRequestQueueSize
}

func (o *Options) statThrottle() time.Duration {
	if o.StatThrottleRate == 0 {
		return DefaultStatThrottleRate
	}

	return max(o.StatThrottleRate, 0)
}

func (o *Options) preloaderIdleTime() time.Duration {
	if o.MaxPreloaderIdleTime == 0 {
		return DefaultMaxPreloaderIdleTime
	}

	return o.MaxPreloaderIdleTime
}

func (o *Options) drainTimeout() time.Duration {
	if o.DrainTimeout == 0 {
		return DefaultDrainTimeout
	}

	return o.DrainTimeout
}

// optionLimits are what each get may change.
type optionLimits struct {
	minProcesses, maxProcesses int
	maxRequests                int
	maxRequestTime             time.Duration
}

func (o *Options) limits() optionLimits {
	return optionLimits{o.MinProcesses, o.MaxProcesses, o.MaxRequests, o.MaxRequestTime}
}

func (o *Options) maxOOBW() int { return max(o.MaxOutOfBandWorkInstances, 1) }

// requestLimit is after how many requests a process with this jitter is
// replaced; 0: never.
func (o *Options) requestLimit(jitter float64) uint64 {
	if o.MaxRequests <= 0 {
		return 0
	}

	earlier := int(float64(o.MaxRequests) * o.MaxRequestsJitter * jitter)

	return uint64(max(o.MaxRequests-earlier, 1))
}

func (o *Options) maxUnanswered() int { return cmp.Or(o.MaxUnanswered, DefaultMaxUnanswered) }

func (o *Options) restartBatch() int {
	if o.RestartBatchSize < 0 {
		return math.MaxInt
	}

	return max(o.RestartBatchSize, 1)
}

func (o *Options) restartDir() string {
	switch dir := o.RestartDir; {
	case dir == "":
		return filepath.Join(o.App.Root, "tmp")
	case filepath.IsAbs(dir):
		return dir
	default:
		return filepath.Join(o.App.Root, dir)
	}
}

func (o *Options) isOf(g *group) bool { return o.App.Name() == g.name && o.sameApp(&g.opts.App) }

func (o *Options) sameApp(app *spawner.App) bool {
	return o.App.Root == app.Root && o.App.Environment == app.Environment &&
		o.App.User == app.User && o.App.Group == app.Group
}

const modulePath = "github.com/gopassenger/passenger"

// unreleased is the version of a program that was not built from a release.
const unreleased = "0.1.0"

// Version is that of this library, without a v in front: the release that the program
// was built from, by its build information, or else the next one. It is not to be
// changed.
var Version = versionOf(debug.ReadBuildInfo())

// ServerSoftware is what applications are told of us.
var ServerSoftware = "gopassenger/" + Version

// released matches the version of a release, which may be a candidate, and pseudo one
// that the go command makes up for a commit.
var (
	released = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)
	pseudo   = regexp.MustCompile(`[.-]\d{14}-[0-9a-f]{12}$`)
)

func versionOf(info *debug.BuildInfo, ok bool) string {
	if !ok {
		return unreleased
	}

	modules := append([]*debug.Module{&info.Main}, info.Deps...)
	for _, m := range modules {
		if m.Path == modulePath && m.Replace == nil && released.MatchString(m.Version) &&
			!pseudo.MatchString(m.Version) {
			return strings.TrimPrefix(m.Version, "v")
		}
	}

	return unreleased
}
