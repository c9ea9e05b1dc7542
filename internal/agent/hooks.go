package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/internal/watchdog"
)

// hookTimeout bounds the time of a hook.
const hookTimeout = time.Minute

// newHooks returns the programs to run for events; nil means none.
func (c *Config) newHooks(instanceDir string, log logr.Logger) (*hooks.Scripts, error) {
	commands := map[hooks.Name]string{}

	var errs []error
	for _, key := range slices.Sorted(maps.Keys(c.Ctls)) {
		// The original's configuration has settings of other kinds in this place.
		if !strings.HasPrefix(key, hooks.Prefix) {
			log.Info("ignored a setting: only those that begin with hook_ have a meaning here", "ctl", key)
			continue
		}

		name, err := hooks.ParseName(key)
		if err != nil {
			errs = append(errs, fmt.Errorf("ctls: %w", err))
		}

		commands[name] = c.Ctls[key]
	}

	if err := errors.Join(errs...); err != nil || len(commands) == 0 {
		return nil, err
	}

	options := map[string]string{"instance_dir": instanceDir}
	// Lists and objects have no form in a variable of the environment.
	for name, value := range c.settings() {
		switch value.(type) {
		case string, int, int64, float64, bool:
			options[name] = fmt.Sprint(value)
		}
	}

	if options["passenger_root"] == "" {
		options["passenger_root"] = passengerRoot()
	}

	return hooks.NewScripts(hooks.Config{
		Commands: commands,
		Options:  options,
		Version:  passenger.Version,
		Timeout:  hookTimeout,
		Logger:   log,
	})
}

// passengerRoot is the directory with the directory bin of this program, as
// $PASSENGER_PASSENGER_ROOT/bin/passenger-status is the original's way to find a tool;
// where it is in no such directory, its own.
func passengerRoot() string {
	program, err := os.Executable()
	if err != nil {
		return ""
	}

	dir := filepath.Dir(program)
	if filepath.Base(dir) == "bin" {
		return filepath.Dir(dir)
	}

	return dir
}

// watchdogHook runs the hooks of a point of the watchdog's life.
func (i *Instance) watchdogHook(ctx context.Context, point watchdog.HookPoint) error {
	// A reload may have changed the options that they get.
	i.mu.Lock()
	cfg := i.coreCfg
	i.mu.Unlock()

	scripts, err := cfg.newHooks(i.runtimeDir().dir.Path(), i.log)
	if scripts == nil || err != nil || !scripts.Has(hooks.Name(point)) {
		return err
	}

	return scripts.Run(ctx, hooks.Event{Name: hooks.Name(point)})
}
