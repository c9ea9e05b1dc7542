package spawner

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// environ is the environment of a process: ours without what is addressed to
// us, what the original sets, and app.Env.
func environ(app *App, loaderDir string) []string {
	vars := map[string]string{}
	for _, entry := range os.Environ() {
		if name, value, ok := strings.Cut(entry, "="); ok && !isForUs(name) {
			vars[name] = value
		}
	}
	vars["IN_PASSENGER"] = "1"
	vars["PYTHONUNBUFFERED"] = "1"
	vars["NODE_PATH"] = filepath.Join(loaderDir, "node")
	vars["PWD"] = app.Root
	for _, name := range []string{"RAILS_ENV", "RACK_ENV", "WSGI_ENV", "NODE_ENV", "PASSENGER_APP_ENV"} {
		vars[name] = app.Environment
	}
	for _, name := range []string{"RAILS_RELATIVE_URL_ROOT", "RACK_BASE_URI", "PASSENGER_BASE_URI"} {
		if app.BaseURI == "/" {
			delete(vars, name)
		} else {
			vars[name] = app.BaseURI
		}
	}
	maps.Copy(vars, app.Env)
	env := make([]string, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		env = append(env, name+"="+vars[name])
	}
	return env
}

// isForUs: the variable belongs to how the service manager talks to this
// process.
func isForUs(name string) bool {
	switch name {
	case "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES":
		return true
	}
	return strings.HasPrefix(name, "WATCHDOG_")
}
