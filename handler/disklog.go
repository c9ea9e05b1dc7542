package handler

import (
	"sync"
	"time"
)

// diskLog bounds how often the log tells that the disk has no room.
type diskLog struct {
	mu   sync.Mutex
	last time.Time
}

const diskLogInterval = 10 * time.Second

func (h *Handler) diskTrouble(err error) {
	h.disk.mu.Lock()
	now := time.Now()
	due := h.disk.last.IsZero() || now.Sub(h.disk.last) >= diskLogInterval
	if due {
		h.disk.last = now
	}
	h.disk.mu.Unlock()
	if due {
		h.cfg.Logger.Error(err, "A request or an answer cannot be buffered", "app", h.appName(), "directory", h.cfg.DataBufferDir)
	}
}
