package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
)

// errEnding is why an instance that ends takes no new configuration.
var errEnding = errors.New("the server is about to end, and takes no new configuration: start it again with that")

var errNoReload = errors.New("the configuration of this server cannot be read again: restart it")

// Reload reads the configuration again, and replaces the core by a new one that has it.
// The old core finishes its requests, and its processes end with it: no request is lost.
// If the configuration is wrong, or the new core does not come to serve, the old one
// stays, and the error says why.
//
// The new core runs the program that is where this one was started from, if that is
// another one now. The watchdog, which is this process, stays what it is.
func (i *Instance) Reload(ctx context.Context) error { return i.reload(ctx, false) }

// ForceReload is Reload with a new core that serves whether all applications start or not. What does not start has
// error pages then. One of many tenants is not to keep the operator from a new configuration or a new program.
func (i *Instance) ForceReload(ctx context.Context) error { return i.reload(ctx, true) }

func (i *Instance) reload(ctx context.Context, force bool) (err error) {
	if i.reconfigure == nil {
		return errNoReload
	}

	// Two reloads at a time would both replace the same core.
	i.changing.Lock()
	defer i.changing.Unlock()

	if i.isEnding() {
		return errEnding
	}

	ctx, cancel := i.untilEnding(ctx)
	defer cancel()

	// systemd waits for this after a signal of its own, also if nothing comes of it.
	done := i.notifyReloading()
	defer func() { done(err) }()

	next, err := i.nextConfig()
	if err != nil {
		return fmt.Errorf("the new configuration was rejected; the old one stays in effect: %w", err)
	}

	upgraded, err := i.program.successor()
	if err == nil {
		err = i.replaceCore(ctx, i.runtimeDir(), &next, upgraded, force)
		if err != nil && upgraded != nil {
			err = errors.Join(fmt.Errorf("with the program that is at %s now: %w", i.program.path, err),
				upgraded.Close())
		}
	}

	if err != nil && i.isEnding() {
		return errEnding
	}

	if err != nil {
		return fmt.Errorf("the new core was not started; the old one serves with its configuration and "+
			"processes: %w", err)
	}

	// Only now: what is made after a crash must be what serves.
	i.mu.Lock()
	i.coreCfg = next
	i.mu.Unlock()

	i.level.set(next.LogLevel)

	// By these, tools find the instance of a directory.
	if err := i.runtimeDir().dir.SetAppRoots(next.instanceDir().AppRoots); err != nil {
		i.log.Error(err, "cannot write the directories of the applications to the instance directory")
	}

	if upgraded != nil {
		i.program.use(upgraded)
		i.log.Info("a new core serves, which runs another program", "program", i.program.path)
	}

	i.log.Info("a new core serves with the current configuration")

	return nil
}

// isEnding reports whether Shutdown was called.
func (i *Instance) isEnding() bool {
	select {
	case <-i.ending:
		return true
	default:
		return false
	}
}

// untilEnding returns a context that ends with ctx, and when the instance is to end.
func (i *Instance) untilEnding(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-i.ending:
			cancel()
		case <-ctx.Done():
		}
	}()

	return ctx, cancel
}

// nextConfig reads the configuration again, and makes sure that it can take the place of this one.
func (i *Instance) nextConfig() (Config, error) {
	next, err := i.reconfigure()
	if err == nil {
		err = next.Validate()
	}

	if err == nil {
		err = i.cfg.sameStart(&next)
	}

	if err == nil && next.Flying != nil {
		err = next.Flying.prepare(&next, i.log)
	}

	if err == nil {
		err = next.readDashboardPassword(i.log)
	}

	return next, err
}

// LogReloadFailure logs the error of a reload that no caller waits for.
func (i *Instance) LogReloadFailure(err error) { i.log.Error(err, "cannot reload") }

// sameStart makes sure that no fixed option differs.
func (c *Config) sameStart(next *Config) error {
	var errs []error
	for _, o := range withField(c.scope()) {
		if before, after := o.Value(c), o.Value(next); o.Fixed && !reflect.DeepEqual(before, after) {
			errs = append(errs, fmt.Errorf("%s was %s and is %s now, which takes effect when the server is restarted",
				o.Key, inWords(before), inWords(after)))
		}
	}

	// With several applications, each has the option. Of a watchdog that has no new privileges, no core gets any.
	if len(errs) == 0 && c.allWithoutNewPrivileges() && !next.allWithoutNewPrivileges() {
		errs = append(errs, errors.New("no_new_privileges was on for all applications and is off for one now, which "+
			"takes effect when the server is restarted"))
	}

	// They come from the environment and are no option.
	if !maps.Equal(c.OTLPHeaders, next.OTLPHeaders) {
		errs = append(errs, errors.New("the headers for the collector have changed, which takes effect when the "+
			"server is restarted"))
	}

	return errors.Join(errs...)
}

// inWords is an option's value in a message, as a file has it.
func inWords(value any) string {
	if v := reflect.ValueOf(value); !v.IsValid() || v.IsZero() && v.Kind() == reflect.String ||
		(v.Kind() == reflect.Map || v.Kind() == reflect.Slice) && v.Len() == 0 {
		return "not set"
	}

	if text, ok := value.(string); ok {
		return text
	}

	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}

	return string(text)
}
