package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/gopassenger/passenger/internal/watchdog"
)

// aliveQuestion asks a core for a sign of life, which takes its main loop and the lock of its pool.
const aliveQuestion = "alive"

// takeWatchdogTime returns how long systemd goes without a sign of life before it ends this
// process (WatchdogSec= of a unit); zero means that it waits for none. The variables are for no child.
func takeWatchdogTime() (time.Duration, error) {
	value := os.Getenv("WATCHDOG_USEC")
	limit, err := daemon.SdWatchdogEnabled(true)
	if err != nil {
		return 0, fmt.Errorf("cannot use the watchdog of systemd: WATCHDOG_USEC is %q, which is to be a number of "+
			"microseconds: correct what starts the server: %w", value, err)
	}

	return limit, nil
}

// startLifeSigns begins to tell systemd that this server is alive, as often as limit needs. stop ends
// that.
func (i *Instance) startLifeSigns(ctx context.Context, limit time.Duration) (stop func()) {
	if limit == 0 {
		return func() {}
	}

	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var signs sync.WaitGroup
	signs.Go(func() { i.giveLifeSigns(ctx, limit) })

	return func() {
		cancel()
		signs.Wait()
	}
}

// giveLifeSigns gives one at each half of limit, if the core responds. A core that does not exist
// just then is being replaced by this process, which is alive.
func (i *Instance) giveLifeSigns(ctx context.Context, limit time.Duration) {
	ticker := time.NewTicker(limit / 2)
	defer ticker.Stop()

	for silent := false; ; {
		// Half of the time that is left, so that the log has the reason before the end.
		asking, cancel := context.WithTimeout(ctx, limit/4)
		_, err := i.dog.Ask(asking, coreName, aliveQuestion)
		cancel()

		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !errors.Is(err, watchdog.ErrNotServing):
			if !silent {
				i.log.Error(err, "the core does not respond: systemd gets no sign of life and ends the server when "+
					"WatchdogSec is over", "limit", limit.String())
			}

			silent = true

			continue
		}

		silent = false
		i.notify(daemon.SdNotifyWatchdog)

		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
