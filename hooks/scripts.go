package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/defaultlog"
	"github.com/gopassenger/passenger/internal/inherit"
)

// ErrTimeLimit is why a script was killed that ran for longer than
// Config.Timeout.
var ErrTimeLimit = errors.New("it ran for longer than it may")

// Config says which scripts there are.
type Config struct {
	// Commands are, for each name, programs separated by semicolons: paths, or
	// names to be found in PATH. They get no arguments, and no shell reads them.
	Commands map[Name]string

	// Options become variables: PASSENGER_ and the name in capitals. Those whose
	// names say that they are secret do not.
	Options map[string]string
	// Version becomes PASSENGER_VERSION.
	Version string

	// Timeout is how long each program may run; zero means for ever.
	Timeout time.Duration

	// Logger gets what happens and what the programs print. The zero value passes
	// warnings and errors on to slog.Default.
	Logger logr.Logger
}

// Scripts is a Hook that runs programs. Its methods may be called concurrently.
// It has nothing to close.
type Scripts struct {
	commands map[Name][]string
	options  map[string]string
	version  string
	timeout  time.Duration
	log      logr.Logger
}

var _ Selective = (*Scripts)(nil)

// NewScripts returns the scripts of c, or an error that names every fault of it.
// Programs are looked for when they are run.
func NewScripts(c Config) (*Scripts, error) {
	var errs []error
	fault := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf(field+": "+format, args...))
	}

	s := &Scripts{
		commands: map[Name][]string{},
		version:  c.Version,
		timeout:  c.Timeout,
		log:      defaultlog.Or(c.Logger),
	}
	for _, name := range slices.Sorted(maps.Keys(c.Commands)) {
		value := c.Commands[name]
		if !slices.Contains(Names(), name) {
			fault("Commands", "there is no hook %q, for which the script %q is configured; the hooks are %s", name,
				value, Names())
			continue
		}

		if strings.ContainsRune(value, 0) {
			fault("Commands", "the %s hook has a NUL in its value %q: leave it out", name, value)
			continue
		}

		for part := range strings.SplitSeq(value, ";") {
			if part = strings.TrimSpace(part); part != "" {
				s.commands[name] = append(s.commands[name], part)
			}
		}
	}

	if c.Timeout < 0 {
		fault("Timeout", "the time limit of hooks is negative: %s: use 0 for none, or more", c.Timeout)
	}

	var err error
	if s.options, err = optionVars(c.Options); err != nil {
		errs = append(errs, err)
	}

	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}

	if len(s.commands) > 0 {
		// What this program was started with is not for scripts.
		inherit.CloseFiles()
	}

	return s, nil
}

// Has reports whether there is a program for name.
func (s *Scripts) Has(name Name) bool { return len(s.commands[name]) > 0 }

// Run runs the programs for e one after the other until one fails: it cannot be
// started, exits with a status that is not zero, is killed by a signal, or runs
// out of time. When ctx ends it is killed. Of a program nothing is left but what
// left its process group. The errors are *exec.ExitError, ErrTimeLimit, the cause
// of ctx, and those of os/exec.
func (s *Scripts) Run(ctx context.Context, e Event) error {
	for _, command := range s.commands[e.Name] {
		if err := s.run(ctx, command, &e); err != nil {
			return err
		}
	}

	return nil
}

func (s *Scripts) run(ctx context.Context, command string, e *Event) error {
	if ctx.Err() != nil {
		return fmt.Errorf("the %s hook script %s was not run: %w", e.Name, command, context.Cause(ctx))
	}

	if s.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.timeout, ErrTimeLimit)
		defer cancel()
	}

	log := s.log.WithValues("hook", string(e.Name), "command", command)
	log.Info(fmt.Sprintf("Running %s hook script: %s", e.Name, command))
	path, err := exec.LookPath(command)
	if err != nil {
		return startError(e.Name, command, err)
	}

	p, err := startScript(ctx, path, s.environ(os.Environ(), e), log)
	if err != nil {
		return startError(e.Name, path, err)
	}

	state := p.wait()
	if state == nil {
		return fmt.Errorf("the %s hook script %s (PID %d) has ended, how is not known: another part of this program "+
			"waits for its children", e.Name, command, p.pid)
	}

	// It may have exited by itself just before.
	if err := p.killedBecause(); err != nil && !state.Exited() {
		what := "was killed"
		if errors.Is(err, ErrTimeLimit) {
			what = fmt.Sprintf("was killed after %s", s.timeout)
		}

		p.log.Info(fmt.Sprintf("Hook script %s (PID %d) %s", command, p.pid, what))

		return fmt.Errorf("the %s hook script %s (PID %d) %s: %w", e.Name, command, p.pid, what, err)
	}

	end := ending(state)
	p.log.Info(fmt.Sprintf("Hook script %s (PID %d) %s", command, p.pid, end))
	if state.Success() {
		return nil
	}

	return &failure{
		text:  fmt.Sprintf("the %s hook script %s (PID %d) %s", e.Name, command, p.pid, end),
		cause: &exec.ExitError{ProcessState: state},
	}
}

// failure says in its own words what its cause does.
type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

// ending says how a program ended.
func ending(state *os.ProcessState) string {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return fmt.Sprintf("was killed by signal %d (%s)", status.Signal(), status.Signal())
	}

	return fmt.Sprintf("exited with status %d", state.ExitCode())
}

func startError(name Name, command string, err error) error {
	var advice string
	switch {
	case errors.Is(err, exec.ErrNotFound):
		advice = "there is no program of that name in PATH; give its path"
	case errors.Is(err, exec.ErrDot):
		advice = "it was found in the current directory, which is not to be trusted; give its path"
	case errors.Is(err, fs.ErrPermission):
		advice = "it is not executable for us; make it so with chmod +x, and the directories above it accessible"
	case errors.Is(err, syscall.ENOEXEC):
		advice = "it is not a program; a script begins with a line such as #!/bin/sh"
	case errors.Is(err, fs.ErrNotExist):
		if _, statErr := os.Stat(command); statErr == nil {
			advice = "the interpreter that its first line names does not exist"
		} else {
			advice = "there is no such file"
		}
	case errors.Is(err, syscall.E2BIG):
		advice = "its environment is too large"
	default:
		return fmt.Errorf("cannot execute the %s hook script %s: %w", name, command, err)
	}

	return fmt.Errorf("cannot execute the %s hook script %s: %s: %w", name, command, advice, err)
}
