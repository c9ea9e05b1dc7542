package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gopassenger/passenger/internal/options"
)

// settings are what the admin API shows, by their keys. Environment variables of the application may
// be secret and are left out.
func (c *Config) settings() map[string]any {
	settings := map[string]any{}
	for _, scope := range []options.Scope{options.Start, c.scope()} {
		for _, o := range withField(scope) {
			if !o.Secret {
				settings[o.Key] = o.Value(c)
			}
		}
	}

	return settings
}

// settingsNow are those settings after what the admin API has changed.
func (c *Config) settingsNow(level *logLevel) map[string]any {
	settings := c.settings()
	settings[logLevelKey] = level.get()
	return settings
}

// appLogsKey is the setting with the places of the output of applications.
const appLogsKey = "app_logs"

// settings are what a core's admin API shows.
func (c *core) settings() map[string]any {
	settings := c.cfg.Server.settingsNow(c.level)
	settings[appLogsKey] = c.server.appLogs()
	return settings
}

const logLevelKey = "log_level"

// change is what the admin API changes, as long as the process lasts: the level of
// the log. Nothing changes if there is an error.
func (l *logLevel) change(changes map[string]json.RawMessage) error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(changes)) {
		if key != logLevelKey {
			errs = append(errs, fmt.Errorf("%q cannot be changed in a running process: change the configuration and "+
				"run \"passenger reload\"", key))
		}
	}

	level := -1
	if text, ok := changes[logLevelKey]; ok && (json.Unmarshal(text, &level) != nil || level < 0 ||
		level > maxLogLevel) {
		errs = append(errs, fmt.Errorf("%s must be a whole number from 0 (only fatal errors) to %d (everything)",
			logLevelKey, maxLogLevel))
	}

	if err := errors.Join(errs...); err != nil {
		return err
	}

	l.set(level)

	return nil
}

// hasLogFiles reports whether there is a log file that can be opened again.
func (c *Config) hasLogFiles() bool {
	// The applications of Flying have files that are not known yet.
	has := c.Flying != nil || c.LogFile != "" || c.TransactionLog != "" ||
		c.AccessLog != "" && c.AccessLog != standardOutput
	c.each(func(app *Config) { has = has || app.AppLogFile != "" })

	return has
}
