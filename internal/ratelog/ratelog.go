// Package ratelog bounds how often the log tells the same, and counts what it leaves out:
// clients and applications can cause the same event as often as they like.
package ratelog

import (
	"sync"
	"sync/atomic"
	"time"
)

// Interval is how long the same is not told again.
const Interval = 10 * time.Second

// Line is one kind of log line. The zero value is ready, and it is safe for concurrent
// use.
type Line struct {
	left atomic.Int64 // the number of messages left out

	mu   sync.Mutex
	told time.Time
}

// Tell calls log unless it has been called within the last Interval; more is the number of
// calls left out since then. log runs without a lock: it may block, or cause the same event.
func (l *Line) Tell(log func(more int)) {
	if more, due := l.take(true); due {
		log(int(more))
	}
}

// Flush calls log, as Tell does, if there is something to tell that Tell has left out, and it is
// time to. It costs no lock if there is nothing.
func (l *Line) Flush(log func(more int)) {
	if l.left.Load() == 0 {
		return
	}

	if more, due := l.take(false); due {
		log(int(more))
	}
}

// take reports whether it is time to tell, and returns the number of messages left out. If it is not
// time, a new message is one more of them.
func (l *Line) take(isNew bool) (more int64, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()

	switch {
	case !l.told.IsZero() && time.Since(l.told) < Interval:
		if isNew {
			l.left.Add(1)
		}

		return 0, false
	case !isNew && l.left.Load() == 0:
		return 0, false
	}

	l.told = time.Now()

	return l.left.Swap(0), true
}
