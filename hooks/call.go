package hooks

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"runtime/pprof"
)

// errGoexit is the error of a hook that ended its goroutine.
var errGoexit = errors.New("it called runtime.Goexit")

// callAll runs all hooks of e and returns what went wrong. A profile of the goroutines
// shows the event in the labels hook and app.
func callAll(ctx context.Context, hooks []Hook, e Event) error {
	var errs []error
	pprof.Do(ctx, pprof.Labels("hook", string(e.Name), "app", e.GroupName), func(ctx context.Context) {
		for _, h := range hooks {
			errs = append(errs, call(ctx, h, e))
		}
	})

	return errors.Join(errs...)
}

// call makes an error of a panic, which must not end the program.
func call(ctx context.Context, h Hook, e Event) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the %s hook panicked: %v\n%s", e.Name, r, debug.Stack())
		}
	}()

	return h.Run(ctx, e)
}
