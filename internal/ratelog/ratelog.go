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
// calls left out since then.
func (l *Line) Tell(log func(more int)) {
	l.mu.Lock()
	defer l.mu.Unlock()

	if !l.due() {
		l.left.Add(1)
		return
	}

	l.told = time.Now()
	log(int(l.left.Swap(0)))
}

// Flush calls log if there is something to tell that Tell has left out, and it is time to.
// It costs no lock if there is nothing.
func (l *Line) Flush(log func(more int)) {
	if l.left.Load() == 0 {
		return
	}

	l.mu.Lock()
	defer l.mu.Unlock()

	if more := l.left.Load(); more > 0 && l.due() {
		l.told = time.Now()
		l.left.Add(-more)
		log(int(more))
	}
}

func (l *Line) due() bool { return l.told.IsZero() || time.Since(l.told) >= Interval }
