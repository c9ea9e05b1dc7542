// Package awaited waits in tests for what has no event.
package awaited

import "time"

const interval = 20 * time.Millisecond

// Within looks again and again, until check returns nil or the time is over, and
// returns what check has returned then.
func Within(limit time.Duration, check func() error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()

	end := time.After(limit)
	for {
		err := check()
		if err == nil {
			return nil
		}

		select {
		case <-tick.C:
		case <-end:
			return err
		}
	}
}
