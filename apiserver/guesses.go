package apiserver

import (
	"sync"
	"time"

	"github.com/go-logr/logr"
)

const (
	// guessWindow is in which a caller may be wrong maxGuesses times.
	guessWindow = 10 * time.Second
	maxGuesses  = 1000
	// maxGuessers bounds the memory; further callers share one account.
	maxGuessers = 1024
)

// guesses counts wrong passwords.
type guesses struct {
	log   logr.Logger
	mu    sync.Mutex
	began time.Time
	wrong map[string]int
	// total is how many were wrong in the window, or the last one.
	total int
}

// allowed reports whether the caller's password is to be looked at.
func (g *guesses) allowed(caller string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Since(g.began) >= guessWindow || g.wrong[g.key(caller)] < maxGuesses
}

// failed counts a wrong password. The first in a window is logged.
func (g *guesses) failed(caller string) {
	if before, first := g.count(caller); first {
		g.log.Info("the admin API was called with a wrong password", "caller", caller, "wrongBefore", before)
	}
}

func (g *guesses) count(caller string) (before int, first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); now.Sub(g.began) >= guessWindow {
		g.began, g.wrong = now, map[string]int{}
		before, first, g.total = g.total, true, 0
	}

	g.wrong[g.key(caller)]++
	g.total++

	return before, first
}

func (g *guesses) key(caller string) string {
	if _, known := g.wrong[caller]; known || len(g.wrong) < maxGuessers {
		return caller
	}

	return "others"
}
