package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
)

// Restart is an order to restart an application, whose group is named Name.
type Restart struct {
	Client *apiserver.Client
	Name   string
	// Rolling replaces one process after the other, whatever the application
	// is configured for, Blocking all at once.
	Rolling, Blocking bool
	// Wait lets Do wait until new processes serve, and tell progress how far
	// it is; progress may be nil.
	Wait     bool
	Progress func(string)
	// Result is set by a Do that has waited, also by one that has failed.
	Result *RestartResult
}

// RestartResult is what a restart has come to.
type RestartResult struct {
	// Before counts the processes that were to be replaced, Replaced those that were, and New those that serve now.
	Before, Replaced, New int
	Took                  time.Duration
}

func (r *RestartResult) String() string {
	switch {
	case r.Before == 0 && r.New > 0:
		were := "were"
		if r.New == 1 {
			were = "was"
		}

		return fmt.Sprintf("no process ran, %d %s started in %.1f s", r.New, were, r.Took.Seconds())
	case r.Before == 0:
		return "no process ran, the next request starts the new release"
	}

	return fmt.Sprintf("%d of %d processes replaced in %.1f s", r.Replaced, r.Before, r.Took.Seconds())
}

// progressInterval is the time between two calls of Progress.
const progressInterval = 500 * time.Millisecond

// ErrCannotWait is why an instance of the original is not told to restart when that
// is to be waited for.
var ErrCannotWait = errors.New("this instance does not tell when new processes serve: restart without waiting")

// Do restarts it and reports whether there is such an application. When it was to
// wait, the error tells also why new processes do not serve; when ctx ends, the
// restart is in progress.
func (r *Restart) Do(ctx context.Context) (bool, error) {
	o := apiserver.RestartOptions{Wait: r.Wait}
	switch {
	case r.Rolling:
		o.Method = "rolling"
	case r.Blocking:
		o.Method = "blocking"
	}

	if !r.Wait {
		return r.Client.Restart(ctx, r.Name, o)
	}

	before, err := r.Client.Pool(ctx)
	if err != nil {
		return false, err
	}

	if before.Schema == 0 {
		return false, ErrCannotWait
	}

	begun := time.Now()

	found, err := r.wait(ctx, o)

	r.Result = &RestartResult{Took: time.Since(begun)}
	for _, all := range r.generations(before) {
		r.Result.Before += all
	}

	// The new ones are of another generation. What cannot be counted any more was not replaced.
	if after, err := r.Client.Pool(ctx); err == nil {
		for generation, n := range r.generations(after) {
			if _, old := r.generations(before)[generation]; !old {
				r.Result.New += n
			}
		}

		r.Result.Replaced = min(r.Result.New, r.Result.Before)
	}

	return found, err
}

// generations counts the processes of each restart that are not about to end.
func (r *Restart) generations(s *passenger.Snapshot) map[uint32]int {
	counts := map[uint32]int{}
	for i := range s.Groups {
		if s.Groups[i].Name != r.Name {
			continue
		}

		for j := range s.Groups[i].Processes {
			if p := &s.Groups[i].Processes[j]; p.State != passenger.ProcessDetached {
				counts[p.Generation]++
			}
		}
	}

	return counts
}

// wait returns when the restart has ended.
func (r *Restart) wait(ctx context.Context, o apiserver.RestartOptions) (bool, error) {
	if r.Progress != nil {
		ctx, stop := context.WithCancel(ctx)
		shown := make(chan struct{})
		go func() {
			defer close(shown)
			r.showProgress(ctx)
		}()
		// Progress must not be called after Do has returned.
		defer func() {
			stop()
			<-shown
		}()
	}

	return r.Client.Restart(ctx, r.Name, o)
}

func (r *Restart) showProgress(ctx context.Context) {
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()

	begun := time.Now()
	for {
		// A failure is Do's to tell, or of no account.
		if s, err := r.Client.Pool(ctx); err == nil && ctx.Err() == nil {
			r.Progress(progress(s, r.Name, time.Since(begun)))
		}

		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// progress counts the processes of the present generation.
func progress(s *passenger.Snapshot, name string, elapsed time.Duration) string {
	done, all, starting := 0, 0, 0
	for i := range s.Groups {
		g := &s.Groups[i]
		if g.Name != name {
			continue
		}

		starting += g.Spawning
		for j := range g.Processes {
			switch p := &g.Processes[j]; {
			case p.State == passenger.ProcessDetached:
			case p.Generation == g.Generation:
				done++
				all++
			default:
				all++
			}
		}
	}

	return fmt.Sprintf("%d of %d processes are new, %d are starting (%ds)", done, max(all, done+starting), starting,
		int(elapsed.Seconds()))
}
