package spawner

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Defaults of [App].
const (
	DefaultEnvironment  = "production"
	DefaultStartTimeout = 90 * time.Second
	DefaultRuby         = "ruby"
	DefaultPython       = "python3"
	DefaultNodeJS       = "node"
)

// App says what to run. The zero value of every field but Root is usable. An
// App that was passed on must not be changed.
type App struct {
	// Root is the application's directory.
	Root string
	// GroupName is what the application is called; empty: Root.
	GroupName string
	// Type is one of Types, or empty: StartCommand counts if there is one,
	// else the type is detected by the startup files in Root.
	Type string
	// StartupFile is the file to load, relative to Root; empty: the type's.
	StartupFile string
	// StartCommand is a program with its arguments that speaks the spawn
	// handshake itself. It counts when Type is empty.
	StartCommand []string
	// Environment is production, development and so on; empty:
	// DefaultEnvironment.
	Environment string
	// BaseURI is where the application is mounted; empty: "/".
	BaseURI string
	// Env is added to the process's environment and wins over ours.
	Env map[string]string
	// Ruby, Python and NodeJS are the interpreters, names that are looked up
	// in the application's PATH or paths; empty: the defaults.
	Ruby, Python, NodeJS string
	// User and Group are who to run as.
	User, Group string
	// StartTimeout bounds a start up to the first request; 0:
	// DefaultStartTimeout.
	StartTimeout time.Duration
	// LogLevel is sent to the loader: 0 (critical) to 7 (finest).
	LogLevel int
}

// setDefaults fills in what is left to the defaults, but for the type and what
// depends on it.
func (a *App) setDefaults() {
	for _, d := range []struct {
		field *string
		value string
	}{
		{&a.GroupName, a.Root},
		{&a.Environment, DefaultEnvironment},
		{&a.BaseURI, "/"},
		{&a.Ruby, DefaultRuby},
		{&a.Python, DefaultPython},
		{&a.NodeJS, DefaultNodeJS},
	} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if a.StartTimeout == 0 {
		a.StartTimeout = DefaultStartTimeout
	}
}

// Name returns the group's name.
func (a *App) Name() string {
	if a.GroupName != "" {
		return a.GroupName
	}
	return a.Root
}

// Validate reports every fault of a, joined.
func (a *App) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if a.Root == "" {
		fault("the app root is missing: set App.Root to the application's directory")
	} else if !filepath.IsAbs(a.Root) {
		fault("the app root %q is not an absolute path", a.Root)
	}
	if a.Type != "" && !slices.ContainsFunc(Types, func(t AppType) bool { return t.Name == a.Type }) {
		fault("unknown app type %q: use one of %s, or a start command", a.Type, typeNames())
	}
	if a.StartTimeout < 0 {
		fault("the start time-out %s is negative", a.StartTimeout)
	}
	for _, s := range [][2]string{
		{"group name", a.GroupName},
		{"root", a.Root},
		{"startup file", a.StartupFile},
		{"environment", a.Environment},
		{"base URI", a.BaseURI},
		{"user", a.User},
		{"group", a.Group},
		{"ruby", a.Ruby},
		{"python", a.Python},
		{"nodejs", a.NodeJS},
	} {
		if strings.ContainsAny(s[1], "\r\n\x00") {
			fault("the app's %s %q holds a line break or NUL", s[0], s[1])
		}
	}
	for i, arg := range a.StartCommand {
		if strings.ContainsAny(arg, "\t\r\n\x00") {
			fault("the start command's argument %q holds a tab, line break or NUL", arg)
		}
		if i == 0 && arg == "" {
			fault("the start command begins with an empty string")
		}
	}
	if a.BaseURI != "" && a.BaseURI[0] != '/' {
		fault("the base URI %q does not begin with a slash", a.BaseURI)
	}
	for _, k := range slices.Sorted(maps.Keys(a.Env)) {
		if k == "" || strings.ContainsAny(k, "=\x00") || strings.ContainsRune(a.Env[k], 0) {
			fault("the environment variable %q cannot be set", k)
		}
	}
	return errors.Join(errs...)
}
