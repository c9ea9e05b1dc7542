package passenger

import (
	"time"

	"github.com/gopassenger/passenger/spawner"
)

// maxEndTime is how long a process may take to end that has begun to. A process whose first thread alone has ended
// works on.
const maxEndTime = time.Second

// AwaitEnd waits for the end of a process that has begun to end, for a second at most, and returns its exit status. It
// returns none, and at once, if the process lives. The process gets no more requests meanwhile. Call it before Close
// when the application has closed the connection unasked: the system closes those of a process that was killed some
// time before its end is known, and the next request of the queue would be lost to it.
func (s *Session) AwaitEnd() (status string) {
	pr := s.process
	if p, ok := pr.proc.(spawner.Ending); !ok || !p.IsEnding() {
		return ""
	}

	pr.setEnding(true)

	limit := time.NewTimer(maxEndTime)
	defer limit.Stop()

	select {
	case <-pr.proc.Exited():
		return pr.proc.ExitStatus()
	case <-limit.C:
		pr.setEnding(false)
		return ""
	}
}

func (pr *process) setEnding(ending bool) {
	g := pr.group
	g.pool.update(func(fx *effects) {
		if pr.ending == ending || pr.state == stateDetached {
			return
		}

		pr.ending = ending
		if pr.state == stateEnabled {
			g.routes.update(pr)
			pr.serveSticky(fx)
		}

		g.reconcile(fx)
	})
}
