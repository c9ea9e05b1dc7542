package spawner

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gopassenger/passenger/internal/inherit"
)

// MarkerVar is the variable that has the GUPID of a process in its environment
// and in that of what it starts, so that what has left its session can be found.
// What a preloader has forked has the preloader's.
const MarkerVar = inherit.MarkerVar

// environment is that of a process.
type environment struct {
	vars map[string]string
	// ours are the variables that count more than what a login shell sets.
	ours []string
}

// newEnvironment is our environment, as far as the process may have it, what the
// original sets, and what app asks for.
func (a *attempt) newEnvironment() *environment {
	app, id := &a.app, a.identity

	e := &environment{vars: map[string]string{}}
	for _, entry := range os.Environ() {
		if name, value, ok := strings.Cut(entry, "="); ok && inherits(name, id.switched) {
			e.vars[name] = value
		}
	}

	ours := map[string]string{
		"IN_PASSENGER": "1",
		// Without it, the handshake would stay in Python's buffer: its stdout is no terminal.
		"PYTHONUNBUFFERED": "1",
		"NODE_PATH":        filepath.Join(a.dir.loaders, "node"),
		// A shell sets it with each cd, and chdir(2) does not.
		"PWD":     app.Root,
		MarkerVar: a.gupid,
	}
	for _, name := range []string{"RAILS_ENV", "RACK_ENV", "WSGI_ENV", "NODE_ENV", "PASSENGER_APP_ENV"} {
		ours[name] = app.Environment
	}

	for _, name := range []string{"RAILS_RELATIVE_URL_ROOT", "RACK_BASE_URI", "PASSENGER_BASE_URI"} {
		delete(e.vars, name)
		// An application at the root has none, whatever this program was started with.
		if app.BaseURI != "/" {
			ours[name] = app.BaseURI
		}
	}

	if id.switched {
		for name, value := range map[string]string{
			"HOME": id.home, "USER": id.name, "LOGNAME": id.name,
			"SHELL": id.shell,
		} {
			delete(e.vars, name)
			if value != "" {
				ours[name] = value
			}
		}
	}

	if a.companion != nil {
		// They are the server's own, by which no request would come to a companion.
		delete(e.vars, portVariable)
		delete(e.vars, socketVariable)
	}

	maps.Copy(ours, a.command.env)
	maps.Copy(ours, a.envFiles)
	maps.Copy(ours, app.Env)
	a.keepAssigned(ours)
	maps.Copy(e.vars, ours)
	e.ours = slices.Sorted(maps.Keys(ours))

	return e
}

// assigned are the variables of a command that nothing configured replaces: the port or
// socket on which requests will come, and the virtual environment, whose PATH has the
// configured one in it.
var assigned = []string{portVariable, socketVariable, "PATH", "VIRTUAL_ENV", CompanionVar}

const (
	portVariable   = "PORT"
	socketVariable = "SOCKET"
)

// ownSocketName is short, because the paths of Unix sockets are.
const ownSocketName = "app"

// keepAssigned puts them back into vars.
func (a *attempt) keepAssigned(vars map[string]string) {
	for _, name := range assigned {
		value, ok := a.command.env[name]
		if !ok {
			continue
		}

		if configured := vars[name]; name == portVariable && configured != value {
			a.config.Logger.Info("the configured environment variable PORT does not count: the application has to "+
				"serve on the port that the server allots",
				"app", a.app.Name(), "configured", configured, "port", value, "from", a.source(name))
		}

		vars[name] = value
	}
}

// source is where a variable was configured.
func (a *attempt) source(name string) string {
	if _, ok := a.app.Env[name]; ok {
		return "envvars"
	}

	return "env_files"
}

// list is what a process is started with.
func (e *environment) list() []string {
	list := make([]string, 0, len(e.vars))
	for _, name := range slices.Sorted(maps.Keys(e.vars)) {
		list = append(list, name+"="+e.vars[name])
	}

	return list
}
