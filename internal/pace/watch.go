package pace

import (
	"net/http"
	"sync"
	"time"
)

// looks is how many times the progress is looked at within the time that a piece may take.
const looks = 4

// Watch limits how long a client may take for each [Piece] of a response that the kernel copies from a file: cutting
// it into pieces, with a timer for each, takes half again as much time as sending it. A client that takes what it gets
// costs one timer, which is stopped.
type Watch struct {
	rc      *http.ResponseController
	timeout time.Duration
	// progress returns how many bytes have been sent, while others are being sent.
	progress func() int64

	mu    sync.Mutex
	timer *time.Timer
	// sent is how much had been when the present piece began, at the time since. What was sent before may count less
	// than nothing, as long as the client has not taken all of it.
	looked    bool
	sent      int64
	since     time.Time
	up, ended bool
}

// NewWatch begins to watch a response. End must follow.
func NewWatch(rc *http.ResponseController, timeout time.Duration, progress func() int64) *Watch {
	w := &Watch{
		rc:       rc,
		timeout:  timeout,
		progress: progress,
		since:    time.Now(),
	}

	// A look may come before the timer is assigned.
	w.mu.Lock()
	defer w.mu.Unlock()

	w.timer = time.AfterFunc(timeout/looks, w.look)

	return w
}

func (w *Watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}

	now, sent := time.Now(), w.progress()
	if !w.looked {
		w.looked, w.sent = true, min(sent, 0)
	}

	if sent-w.sent >= Piece {
		w.sent, w.since = sent, now
	}

	if left := w.timeout - now.Sub(w.since); left > 0 {
		w.timer.Reset(min(left, w.timeout/looks))
		return
	}

	w.up = true
	_ = w.rc.SetWriteDeadline(past) // where there are no deadlines, there is no limit
}

// End ends the watch and reports whether the time was up. Progress is not called any more when it returns.
func (w *Watch) End() (over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.ended = true
	w.timer.Stop()

	return w.up
}
