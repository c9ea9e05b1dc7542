package ustrouter

import "sync/atomic"

// DefaultQueueLength is how many transactions wait in the Observer, the Router
// and the OTLP sink, each, before they are dropped.
const DefaultQueueLength = 10000

// maxQueueBytes bounds the memory of what waits in a queue.
const maxQueueBytes = 16 << 20

// queue keeps transactions for the one goroutine that takes them. No writer waits
// to put one in.
type queue struct {
	entries chan entry
	bytes   atomic.Int64
}

type entry struct {
	transaction Transaction
	size        int
}

func newQueue(length int) *queue { return &queue{entries: make(chan entry, length)} }

// put reports whether there was room. Held is how much memory t holds besides
// its own.
func (q *queue) put(t *Transaction, held int) bool {
	size := t.size() + held
	// Adding comes first, so that several writers do not pass the limit together.
	if q.bytes.Add(int64(size)) > maxQueueBytes {
		q.bytes.Add(-int64(size))
		return false
	}

	select {
	case q.entries <- entry{*t, size}:
		return true
	default:
		q.bytes.Add(-int64(size))
		return false
	}
}

// took gets each entry that was received.
func (q *queue) took(e *entry) *Transaction {
	q.bytes.Add(-int64(e.size))
	return &e.transaction
}

// next returns an entry if there is one now.
func (q *queue) next() (*Transaction, bool) {
	select {
	case e := <-q.entries:
		return q.took(&e), true
	default:
		return nil, false
	}
}
