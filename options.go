package passenger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"runtime/debug"
	"slices"
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
	DefaultMaxUnanswered       = 5

	DefaultMaxPreloaderIdleTime = 300 * time.Second
)

// Unlimited switches off a limit of [Options] or [Config], as any negative number does.
const Unlimited = -1

// Config configures a [Pool]. The zero value is usable.
type Config struct {
	// MaxPoolSize limits the processes of all applications together. Processes that are being
	// started count; those that only finish their last requests do not. Zero means
	// DefaultMaxPoolSize; there is always a limit.
	MaxPoolSize int
	// Spawner starts the processes. Nil means spawner.New, which the pool closes; the caller closes
	// any other one, after the pool.
	Spawner spawner.Factory
	// PoolIdleTime is the idle time after which a process is stopped, if its application has more
	// than its minimum. After as long again, the pool forgets an application that has no minimum,
	// no process and no waiting get; it remembers MaxUnusedApps of those at most. Zero means
	// DefaultPoolIdleTime, Unlimited never.
	PoolIdleTime time.Duration
	// OutOfBandWork makes a process do its out-of-band work, and returns at the end of it, or of
	// ctx; see handler.OutOfBandWork. Nil means that requests for such work are ignored.
	OutOfBandWork func(ctx context.Context, s *Session) error
	// Hooks run when something happens to processes or requests; see package hooks. None delays a
	// request. Only the end of a process whose request takes too long waits for its hook.
	Hooks []hooks.Hook
	// Observer receives requests, processes and restarts, for metrics and traces. Nil means none.
	Observer Observer
	// Incidents keeps what is known when a process or a request comes to a bad end. A process that is
	// to be killed lives until that is done, MaxIncidentTime at most. Nil means that nothing is kept.
	Incidents IncidentRecorder
	// MetricsInterval is the interval at which the memory and CPU use of the processes is read,
	// which the memory limits need. Zero means never.
	MetricsInterval time.Duration
	// Logger receives what the operator should know; see LogTo. The zero value passes warnings,
	// errors and what applications print on stderr to slog.Default; Silent discards everything.
	Logger logr.Logger
	// SelfChecks verifies the invariants of the pool after each change, which takes time.
	// SelfCheckFailed is called with a violation, after the change; nil means a panic. Both are for
	// tests, such as those with the pools of spawnertest.NewPool. Otherwise a state that must not
	// occur is logged.
	SelfChecks      bool
	SelfCheckFailed func(error)
}

// Validate returns all faults of c, joined.
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
			errs = append(errs, fmt.Errorf("%s: number %d is nil: leave it out", "Hooks", i+1))
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

// LogTo returns a logger for the configurations of this module's packages that writes to log.
func LogTo(log *slog.Logger) logr.Logger { return logr.FromSlogHandler(log.Handler()) }

// Silent returns a logger that discards everything. The zero value, which logr.Discard returns,
// does not.
func Silent() logr.Logger { return defaultlog.Silent() }

// Options name the application that a session is for, and its limits. App.Root is required; the
// zero value of any other field is usable, and that of a limit is its default. Unlimited, like any
// negative number, means no limit.
//
// The pool keeps a copy. A change is passed with a later get, and takes effect as each field says.
// A field that says nothing is read by the first get, which makes the application's group, and by
// the get that finds that a file asks for a restart; see RestartDir.
type Options struct {
	// App is what to run. Its group name, root, user, group and environment identify the
	// application: a get whose App differs in one of them belongs to another application, even of
	// the same name.
	App spawner.App
	// MinProcesses is the number of processes that are kept from the first get on, also after a
	// crash. The value of the latest get counts.
	MinProcesses int
	// MaxProcesses limits the processes of this application. Zero, like Unlimited, means that only
	// MaxPoolSize does. The value of the latest get counts.
	MaxProcesses int
	// MaxRequestQueueSize limits the gets that wait for a process of this application. Zero means
	// DefaultMaxRequestQueueSize. Each get is refused by its own value.
	MaxRequestQueueSize int
	// MaxRequestQueueTime limits how long this get waits before it fails with ErrQueueTimeout.
	// Zero, like Unlimited, means no limit.
	MaxRequestQueueTime time.Duration
	// StickySessionID is the Session.StickyID of the process that this get prefers; it waits while
	// that process is busy. Any other process serves it when that one is gone. Zero means any
	// process.
	StickySessionID uint32
	// MaxRequests is the number of requests after which a process is replaced. Zero, like
	// Unlimited, means never. The value of the latest get counts. In a rolling restart, and after one
	// that has failed, old processes stay until new ones replace them.
	MaxRequests int
	// MaxRequestsJitter, from 0 to 1, is the share of MaxRequests by which a process may be
	// replaced earlier. Each process has its own point in that range, so that not all are replaced
	// at once.
	MaxRequestsJitter float64
	// MaxUnanswered is the number of consecutive requests without a response, as Session.Report
	// counts them, after which a process is replaced. Zero means DefaultMaxUnanswered, Unlimited
	// never.
	MaxUnanswered int
	// MaxRequestTime limits the time of a request. A process that exceeds it is killed. Zero, like
	// Unlimited, means no limit. The value of the latest get counts.
	MaxRequestTime time.Duration
	// MemoryLimit limits the memory, in bytes, of a process and all that it has started. Shared
	// memory does not count. A process above it finishes its requests and is replaced, unless
	// it is the last old one of a rolling restart, or of one that has failed; one above HardMemoryLimit is
	// killed. Zero, like Unlimited, means no limit. Both need Config.MetricsInterval.
	MemoryLimit, HardMemoryLimit int64
	// MaxOutOfBandWorkInstances limits the processes that do out-of-band work at the same time.
	// Zero means 1.
	MaxOutOfBandWorkInstances int
	// MaxPreloaderIdleTime is the time after the last spawn when a preloader is stopped. Zero means
	// DefaultMaxPreloaderIdleTime, Unlimited never.
	MaxPreloaderIdleTime time.Duration
	// RestartDir is the directory of the files restart.txt and always_restart.txt, relative to the
	// application's directory. A changed modification time of the first restarts the application;
	// the second does so at every get. Empty means "tmp".
	RestartDir string
	// StatThrottleRate is the minimum time between two looks for them. Zero means
	// DefaultStatThrottleRate, Unlimited that every get looks.
	StatThrottleRate time.Duration
	// BlockingRestarts makes RestartBlocking the default method.
	BlockingRestarts bool
	// RestartBatchSize is the number of processes that a rolling restart replaces at a time. Zero
	// means 1, Unlimited all of them.
	RestartBatchSize int
	// DrainTimeout limits the time that a process replaced by a restart has for its requests. Zero
	// means DefaultDrainTimeout, Unlimited no limit.
	DrainTimeout time.Duration
	// KeepLongSessions lets a detached process live while it has sessions that have called
	// Session.OnDetach, such as WebSockets, whatever DrainTimeout says. Their functions are then
	// called only when the pool shuts down, or the process has ended.
	KeepLongSessions bool
	// ForceMaxConcurrentRequestsPerProcess replaces the concurrency that the application reports.
	// Zero keeps that. It is read when a process is attached.
	ForceMaxConcurrentRequestsPerProcess int
}

// Validate returns all faults of o, joined.
func (o *Options) Validate() error { return errors.Join(o.App.Validate(), o.validateOwn()) }

// validateOwn is Validate without App, which a get only uses to make the group or to restart it.
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
		errs = append(errs, fmt.Errorf("MaxRequestsJitter: %v is out of range: it must be from 0 to 1",
			o.MaxRequestsJitter))
	}

	if o.MaxOutOfBandWorkInstances < 0 {
		errs = append(errs, fmt.Errorf("MaxOutOfBandWorkInstances: %d is negative: it must be at least 1, or 0 for 1",
			o.MaxOutOfBandWorkInstances))
	}

	if strings.ContainsRune(o.RestartDir, 0) {
		errs = append(errs, fmt.Errorf("RestartDir: %q contains a NUL byte: remove it", o.RestartDir))
	}

	return errors.Join(errs...)
}

// isLike reports whether p has the same limits and passes validateOwn if o does. It is the fast
// path of most gets.
func (o *Options) isLike(p *Options) bool {
	return o.MinProcesses == p.MinProcesses && o.MaxProcesses == p.MaxProcesses &&
		o.MaxRequests == p.MaxRequests && o.MaxRequestTime == p.MaxRequestTime &&
		o.MaxRequestsJitter == p.MaxRequestsJitter &&
		o.MaxOutOfBandWorkInstances == p.MaxOutOfBandWorkInstances && o.RestartDir == p.RestartDir
}

// clone returns a copy that shares nothing with o.
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

// optionLimits are the options that each get may change.
type optionLimits struct {
	minProcesses, maxProcesses int
	maxRequests                int
	maxRequestTime             time.Duration
}

func (o *Options) limits() optionLimits {
	return optionLimits{o.MinProcesses, o.MaxProcesses, o.MaxRequests, o.MaxRequestTime}
}

func (o *Options) maxOOBW() int { return max(o.MaxOutOfBandWorkInstances, 1) }

// requestLimit is the number of requests after which a process with this jitter is replaced; zero
// means never.
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

// unreleased is the version of a program that was not built from a release: the next one.
const unreleased = "0.1.0"

// Version is the version of this library, without a leading v: of the release that the program was
// built with, or else of the next one. It must not be changed.
var Version = versionOf(debug.ReadBuildInfo())

// ServerSoftware is the name and version that applications see.
var ServerSoftware = "gopassenger/" + Version

func versionOf(info *debug.BuildInfo, ok bool) string {
	if !ok {
		return unreleased
	}

	// The library is a dependency of the program, or, for our own, its main module.
	modules := append([]*debug.Module{&info.Main}, info.Deps...)
	for _, m := range modules {
		// What replaces a module need not be what its version names.
		if m.Path == modulePath && m.Replace == nil && isRelease(m.Version) {
			return strings.TrimPrefix(m.Version, "v")
		}
	}

	return unreleased
}

// isRelease reports whether a version is that of a release or of a candidate. Regular expressions would be compiled at
// each start of each program.
func isRelease(version string) bool {
	const digits, letters = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

	number, candidate, isCandidate := strings.Cut(version, "-")
	parts := strings.Split(strings.TrimPrefix(number, "v"), ".")
	notNumber := func(part string) bool { return !madeOf(part, digits) }

	switch {
	case !strings.HasPrefix(number, "v"), len(parts) != 3, slices.ContainsFunc(parts, notNumber):
		return false
	case isCandidate:
		return madeOf(candidate, digits+letters+".-") && !isPseudo(version)
	}

	return true
}

// isPseudo reports whether the go command made a version up for a commit: it ends in the time and the commit.
func isPseudo(version string) bool {
	rest, commit := cutLast(version, "-")
	_, at := cutLast(rest, ".-")

	return len(commit) == 12 && madeOf(commit, "0123456789abcdef") && len(at) == 14 && madeOf(at, "0123456789")
}

// cutLast cuts s around the last of some separators.
func cutLast(s, separators string) (before, after string) {
	i := strings.LastIndexAny(s, separators)
	return s[:max(i, 0)], s[i+1:]
}

// madeOf reports whether s has characters of a set, and no others.
func madeOf(s, set string) bool { return s != "" && strings.Trim(s, set) == "" }
