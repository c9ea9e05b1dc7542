package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
)

var errNoReload = errors.New("the configuration of this server cannot be read anew: restart it")

// Reload reads the configuration anew, and lets a new core that has it take the
// place of the one that serves. That one answers the requests that it has, and its
// processes end with it: no request is lost. If the configuration is wrong, or the
// core does not come to serve, the old one stays, and the error says why.
//
// The new core runs the program that is where this one was started from, if that is
// another one now. The watchdog, which is this process, stays what it is.
func (i *Instance) Reload(ctx context.Context) error {
	if i.reconfigure == nil {
		return errNoReload
	}

	i.changing.Lock()
	defer i.changing.Unlock()
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

	if err != nil {
		return fmt.Errorf("the configuration is refused, and the one before it counts on: %w", err)
	}

	done := i.notifyReloading()
	upgraded, err := i.program.successor()
	if err == nil {
		err = i.replaceCore(ctx, i.runtimeDir(), &next, upgraded)
		if err != nil && upgraded != nil {
			err = errors.Join(fmt.Errorf("with the program that is at %s now: %w", i.program.path, err),
				upgraded.Close())
		}
	}

	done(err)
	if err != nil {
		return fmt.Errorf("the new core was not started, the old one serves on with its configuration and "+
			"processes: %w", err)
	}

	i.coreCfg = next
	i.level.set(next.LogLevel)
	if upgraded != nil {
		i.program.use(upgraded)
		i.log.Info("A new core serves that runs another program", "program", i.program.path)
	}

	i.log.Info("A new core serves with the configuration as it is now")

	return nil
}

// LogReloadFailure is for reloads that nobody waits for.
func (i *Instance) LogReloadFailure(err error) { i.log.Error(err, "Cannot reload") }

// sameStart makes sure that nothing differs that takes effect at the start.
func (c *Config) sameStart(next *Config) error {
	var errs []error
	for _, o := range withField(c.scope()) {
		if before, after := o.Value(c), o.Value(next); o.Fixed && !reflect.DeepEqual(before, after) {
			errs = append(errs, fmt.Errorf("%s was %v and is %v now, which takes effect when the server is restarted",
				o.Key, before, after))
		}
	}

	if !maps.Equal(c.OTLPHeaders, next.OTLPHeaders) {
		errs = append(errs, errors.New("the headers for OTLP have changed, which takes effect when the server is "+
			"restarted"))
	}

	return errors.Join(errs...)
}
