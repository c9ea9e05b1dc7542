package ustrouter

import (
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
)

// BenchmarkRequest is what a request pays: off, with a router that takes
// everything, and with none, so that what comes is dropped.
func BenchmarkRequest(b *testing.B) {
	e := someRequest()
	run := func(b *testing.B, o passenger.Observer) {
		b.Helper()
		b.ReportAllocs()

		for b.Loop() {
			if o != nil {
				o.RequestEnded(o.RequestBegan(b.Context(), e), e)
			}
		}
	}
	b.Run("off", func(b *testing.B) { run(b, nil) })
	b.Run("on", func(b *testing.B) {
		o := &Observer{queue: newQueue(DefaultQueueLength), sender: newSender(nil, nil, logr.Discard())}
		defer o.sender.giveUp()
		b.ReportAllocs()

		for b.Loop() {
			o.RequestEnded(o.RequestBegan(b.Context(), e), e)
			if _, ok := o.queue.next(); !ok {
				b.Fatal("it was dropped")
			}
		}
	})
	b.Run("dropping", func(b *testing.B) {
		o := &Observer{queue: newQueue(1), sender: newSender(nil, nil, logr.Discard())}
		defer o.sender.giveUp()
		run(b, o)
	})
}

// BenchmarkTransaction is what the sender's goroutine and the router do for one.
func BenchmarkTransaction(b *testing.B) {
	t := full()
	line := lineOf(b, full())
	b.Run("encode", func(b *testing.B) {
		out := newEncoder()
		b.ReportAllocs()

		for b.Loop() {
			out.buf.Reset()
			require.NoError(b, out.transaction(&t))
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()

		for b.Loop() {
			_, err := decode(line)
			require.NoError(b, err)
		}
	})
}
