package handler

import (
	"sync"
	"time"
)

// repeatedLog bounds how often the log tells the same, such as that the disk has no
// room.
type repeatedLog struct {
	mu   sync.Mutex
	last time.Time
}

const repeatedLogInterval = 10 * time.Second

// due reports whether it is time to tell, which counts as done then.
func (l *repeatedLog) due() bool {
	l.mu.Lock()
	defer l.mu.Unlock()

	now := time.Now()
	due := l.last.IsZero() || now.Sub(l.last) >= repeatedLogInterval
	if due {
		l.last = now
	}

	return due
}

func (h *Handler) diskTrouble(err error) {
	if h.disk.due() {
		h.cfg.Logger.Error(err, "A request or an answer cannot be buffered", "app", h.appName(), "directory", h.cfg.DataBufferDir)
	}
}
