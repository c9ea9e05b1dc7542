package ustrouter

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/ratelog"
)

// dropInterval is the least time between two reports of drops, in the log or as transactions.
const dropInterval = ratelog.Interval

var errDropped = errors.New("transactions are dropped")

// drops counts transactions that are lost. Any goroutine may add; the rest is for one
// goroutine.
type drops struct {
	count  atomic.Uint64
	logged tally
	told   tally
}

// tally is the part of a count that was reported, and when.
type tally struct {
	known uint64
	at    time.Time
}

func (t *tally) due(count uint64) (missing uint64) {
	if count == t.known || !t.at.IsZero() && time.Since(t.at) < dropInterval {
		return 0
	}

	return count - t.known
}

func (t *tally) knows(count uint64) { t.known, t.at = count, time.Now() }

// log says what is new.
func (d *drops) log(log logr.Logger, where string) {
	count := d.count.Load()
	if missing := d.logged.due(count); missing > 0 {
		d.logged.knows(count)
		log.Error(errDropped, "transactions are lost "+where, "dropped", missing, "droppedInAll", count)
	}
}

// due wakes the goroutine that waits for transactions, so that it logs and sends what is
// new; nil means that nothing is.
func (d *drops) due() <-chan time.Time { return d.after(d.logged, d.told) }

// dueToLog is due for who cannot tell.
func (d *drops) dueToLog() <-chan time.Time { return d.after(d.logged) }

func (d *drops) after(tallies ...tally) <-chan time.Time {
	count := d.count.Load()

	wait := time.Duration(-1)
	for _, t := range tallies {
		if left := max(0, dropInterval-time.Since(t.at)); t.known != count && (wait < 0 || left < wait) {
			wait = left
		}
	}

	if wait < 0 {
		return nil
	}

	return time.After(wait)
}

func (d *drops) untold() bool { return d.told.known != d.count.Load() }

// record returns what is new as a transaction, or nil if nothing is, or not yet again.
func (d *drops) record() *Transaction {
	count := d.count.Load()
	missing := d.told.due(count)
	if missing == 0 {
		return nil
	}

	d.told.knows(count)

	return &Transaction{Kind: KindDropped, Time: time.Now(), Dropped: missing}
}
