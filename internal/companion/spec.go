package companion

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/options"
	"github.com/gopassenger/passenger/spawner"
)

// The limits of what one application may have.
const (
	maxCompanions  = 64
	maxCount       = 64
	maxStopTimeout = time.Hour
)

// Spec is one companion as it is configured.
type Spec struct {
	Name string
	// Command is a program with its arguments.
	Command []string
	// Count is how many of it run at the same time.
	Count   int
	Restart Restart
	// StopSignal asks one to end, and StopTimeout is how long that may take.
	StopSignal  syscall.Signal
	StopTimeout time.Duration
	// Env is added to the environment of the application's processes.
	Env map[string]string
	// Overlap is true if those of a new release may run while those of the old one end.
	Overlap bool
	// MemoryLimit is in MB. Zero means no limit, a negative value that of the application.
	MemoryLimit int
}

// Specs are the companions of one application.
type Specs []Spec

// WithoutSecrets returns them as they are configured, without the values of their environment.
func (all Specs) WithoutSecrets() any {
	shown := make(map[string]map[string]any, len(all))
	for _, s := range all {
		env := make(map[string]string, len(s.Env))
		for name := range s.Env {
			env[name] = "(not shown)"
		}

		limit := any(s.MemoryLimit)
		if s.MemoryLimit < 0 {
			limit = nil
		}

		shown[s.Name] = map[string]any{
			"command":      s.Command,
			"count":        s.Count,
			"restart":      s.Restart,
			"stop_signal":  strings.TrimPrefix(unix.SignalName(s.StopSignal), "SIG"),
			"stop_timeout": s.StopTimeout.Seconds(),
			"environment":  env,
			"memory_limit": limit,
			"overlap":      s.Overlap,
		}
	}

	return shown
}

// Restart says after which ends a companion is started again.
type Restart string

// The values of Restart.
const (
	RestartAlways    Restart = "always"
	RestartOnFailure Restart = "on-failure"
	RestartNever     Restart = "never"
)

func newSpec(name string) Spec {
	return Spec{
		Name:        name,
		Count:       1,
		Restart:     RestartAlways,
		StopSignal:  syscall.SIGTERM,
		StopTimeout: spawner.DefaultCompanionStopTimeout,
		Overlap:     true,
		MemoryLimit: -1,
	}
}

var nameForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`) })

// Parse returns the companions of an object as encoding/json reads it, in the order of their names. The error has a
// sentence for each fault, which names the companion and its key.
func Parse(raw any) (Specs, error) {
	object, ok := raw.(map[string]any)
	if !ok {
		return nil, errors.New(`companions must be an object of names and companions, such as ` +
			`{"worker": {"command": "bundle exec sidekiq"}}`)
	}

	if len(object) > maxCompanions {
		return nil, errTooMany("companions", len(object))
	}

	specs := make(Specs, 0, len(object))
	var errs []error

	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !nameForm().MatchString(name) {
			errs = append(errs, fmt.Errorf("companions: %q is no name: use at most 32 letters, digits, dashes and "+
				"underscores", name))
			continue
		}

		spec := newSpec(name)
		errs = append(errs, spec.parse(object[name]))
		specs = append(specs, spec)
	}

	return specs, errors.Join(errs...)
}

func errTooMany(where string, n int) error {
	return fmt.Errorf("%s: there are %d companions, and %d at most can be run: leave some of them out", where, n,
		maxCompanions)
}

// parse reads the companion's object.
func (s *Spec) parse(raw any) error {
	fault := func(format string, args ...any) error {
		return fmt.Errorf("companions: "+s.Name+": "+format, args...)
	}

	object, ok := raw.(map[string]any)
	if !ok {
		return fault("it must be an object with the key command")
	}

	var errs []error
	for _, key := range slices.Sorted(maps.Keys(object)) {
		set, known := settings[key]
		if !known {
			errs = append(errs, fault("there is no key %q: use %s", key,
				strings.Join(slices.Sorted(maps.Keys(settings)), ", ")))
			continue
		}

		if err := set(s, object[key]); err != nil {
			errs = append(errs, fault("%s %w", key, err))
		}
	}

	if _, given := object["command"]; !given {
		errs = append(errs, fault("the key command is missing: name the program to run"))
	}

	return errors.Join(errs...)
}

// settings are the keys of a companion. The error of one continues a sentence that begins with the key.
var settings = map[string]func(s *Spec, raw any) error{
	"command":      (*Spec).setCommand,
	"count":        (*Spec).setCount,
	"environment":  (*Spec).setEnvironment,
	"memory_limit": (*Spec).setMemoryLimit,
	"overlap":      (*Spec).setOverlap,
	"restart":      (*Spec).setRestart,
	"stop_signal":  (*Spec).setStopSignal,
	"stop_timeout": (*Spec).setStopTimeout,
}

func (s *Spec) setCommand(raw any) (err error) {
	switch v := raw.(type) {
	case string:
		s.Command, err = options.ParseCommand(v)
		if err != nil {
			return fmt.Errorf("cannot be used: %w", err)
		}
	case []any:
		for _, word := range v {
			text, ok := word.(string)
			if !ok {
				return fmt.Errorf("must be a text or a list of texts, not a list with %v", word)
			}

			s.Command = append(s.Command, text)
		}
	default:
		return fmt.Errorf("must be a text or a list of texts, not %v", raw)
	}

	switch {
	case len(s.Command) == 0 || s.Command[0] == "":
		return errors.New("names no program: write one")
	case strings.ContainsRune(strings.Join(s.Command, ""), 0):
		return errors.New("holds NUL: leave it out")
	}

	return nil
}

func (s *Spec) setCount(raw any) error {
	number, ok := raw.(float64)
	if !ok || number != math.Trunc(number) || number < 1 || number > maxCount {
		return fmt.Errorf("is %v: it must be a whole number from 1 to %d", raw, maxCount)
	}

	s.Count = int(number)

	return nil
}

func (s *Spec) setMemoryLimit(raw any) error {
	const maxLimit = 1 << 30 // a petabyte
	number, ok := raw.(float64)
	if !ok || number != math.Trunc(number) || number < 0 || number > maxLimit {
		return fmt.Errorf("is %v: it must be a whole number of MB from 0 (no limit)", raw)
	}

	s.MemoryLimit = int(number)

	return nil
}

func (s *Spec) setRestart(raw any) error {
	text, _ := raw.(string)
	all := []Restart{RestartAlways, RestartOnFailure, RestartNever}
	if !slices.Contains(all, Restart(text)) {
		return fmt.Errorf("is %v: it must be always, on-failure or never", raw)
	}

	s.Restart = Restart(text)

	return nil
}

// stopSignals are those that programs take for a request to end.
var stopSignals = map[string]syscall.Signal{
	"TERM": syscall.SIGTERM,
	"INT":  syscall.SIGINT,
	"QUIT": syscall.SIGQUIT,
	"HUP":  syscall.SIGHUP,
	"USR1": syscall.SIGUSR1,
	"USR2": syscall.SIGUSR2,
	"KILL": syscall.SIGKILL,
}

func (s *Spec) setStopSignal(raw any) error {
	text, _ := raw.(string)
	sig, ok := stopSignals[strings.TrimPrefix(text, "SIG")]
	if !ok {
		return fmt.Errorf("is %v: it must be TERM, INT, QUIT, HUP, USR1, USR2 or KILL", raw)
	}

	s.StopSignal = sig

	return nil
}

func (s *Spec) setStopTimeout(raw any) error {
	number, ok := raw.(float64)
	if !ok || number <= 0 || number > maxStopTimeout.Seconds() {
		return fmt.Errorf("is %v: it must be a number of seconds above 0 and at most %.0f", raw,
			maxStopTimeout.Seconds())
	}

	s.StopTimeout = time.Duration(number * float64(time.Second))

	return nil
}

// setEnvironment shows no value, which may be secret.
func (s *Spec) setEnvironment(raw any) error {
	object, ok := raw.(map[string]any)
	if !ok {
		return errors.New("must be an object of names and values")
	}

	s.Env = make(map[string]string, len(object))
	for name, value := range object {
		text, ok := options.VariableText(value)
		if !ok {
			return fmt.Errorf("has a value of %s that is no text", name)
		}

		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(text, 0) {
			return fmt.Errorf("has a variable %q that cannot be set", name)
		}

		s.Env[name] = text
	}

	return nil
}

func (s *Spec) setOverlap(raw any) error {
	overlap, ok := raw.(bool)
	if !ok {
		return fmt.Errorf("is %v: it must be true or false", raw)
	}

	s.Overlap = overlap

	return nil
}

// notCompanions are lines of a Procfile that are something else: the application, and what a deploy runs once.
var notCompanions = []string{"web", "release"}

// WithProcfile returns specs and the lines of the Procfile in root that are companions and not among them.
//
// Errors: those of [spawner.ReadProcfile], and one for each command that is none.
func WithProcfile(specs Specs, root string) (Specs, error) {
	lines, err := spawner.ReadProcfile(root)
	if err != nil {
		return nil, err
	}

	all := slices.Clone(specs)
	var errs []error

	for _, line := range lines {
		// The configuration says more than a line of the Procfile, and replaces it.
		named := func(s Spec) bool { return s.Name == line.Name }
		other := func(name string) bool { return strings.EqualFold(name, line.Name) }
		if slices.ContainsFunc(notCompanions, other) || slices.ContainsFunc(specs, named) {
			continue
		}

		spec := newSpec(line.Name)
		if err := spec.setCommand(line.Command); err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: the command of %s %w", spawner.ProcfileName, line.Number,
				line.Name, err))
			continue
		}

		all = append(all, spec)
	}

	if len(all) > maxCompanions {
		errs = append(errs, errTooMany(spawner.ProcfileName, len(all)))
	}

	return all, errors.Join(errs...)
}
