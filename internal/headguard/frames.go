package headguard

import (
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"
)

const (
	// frameBurst is how many frames that bring no request further a connection of HTTP/2 may have at once, and
	// framesPerSecond how many more each second.
	frameBurst      = 20_000
	framesPerSecond = 1_000
	// framesPerRequest are added for a request: for its continuations, priorities, windows, and its end.
	framesPerRequest = 10
	// bytesPerFrame are the bytes of bodies, in either direction, for which one more frame is due: a window's update.
	bytesPerFrame = 1 << 10
)

// errFrames ends a connection: its client costs more than its requests are worth.
var errFrames = errors.New("a client sends frames of HTTP/2 that bring no request further")

// frames follows the frames of a client of HTTP/2 by their heads. What net/http does for one that is empty, or about
// something other than a request, takes as long as what a client pays with nine bytes, and net/http counts only some.
type frames struct {
	// head is that of the next frame, as far as it has come, and left what is to come of a payload.
	head [frameHead]byte
	had  int
	left int

	credit  int64
	written *atomic.Int64
	counted int64 // of written
	filled  time.Time
}

// frameHead is the length of a frame's head, RFC 9113 section 4.1.
const frameHead = 9

// Types of frames, RFC 9113 section 6.
const (
	dataFrame    = 0
	headersFrame = 1

	paddedFlag = 0x8
	// maxPadded is a padded frame that may have nothing else.
	maxPadded = 256
)

func newFrames(written *atomic.Int64) *frames {
	return &frames{credit: frameBurst, written: written, counted: written.Load(), filled: time.Now()}
}

// count follows bytes, and reports whether their frames may pass.
func (f *frames) count(b []byte) bool {
	for len(b) > 0 {
		if f.left > 0 {
			n := min(f.left, len(b))
			f.left -= n
			b = b[n:]

			continue
		}

		n := copy(f.head[f.had:], b)
		f.had += n
		b = b[n:]
		if f.had < frameHead {
			break
		}

		f.had = 0
		f.left = int(binary.BigEndian.Uint32(f.head[:4]) >> 8)
		if !f.pay() {
			return false
		}
	}

	return true
}

// pay takes what the frame costs, and reports whether there was as much.
func (f *frames) pay() bool {
	switch kind, flags := f.head[3], f.head[4]; {
	case kind == headersFrame:
		f.add(framesPerRequest)
		return true
	case kind == dataFrame && f.left > 0 && (flags&paddedFlag == 0 || f.left > maxPadded):
		f.add(int64(f.left / bytesPerFrame))
		return true
	}

	// Only where it is needed: the time costs more than a frame.
	if f.credit == 0 {
		f.fill()
	}

	f.credit--

	return f.credit >= 0
}

func (f *frames) add(n int64) { f.credit = min(f.credit+n, frameBurst) }

// fill adds what is due for the time, and for the bytes of responses.
func (f *frames) fill() {
	now, written := time.Now(), f.written.Load()
	f.add(int64(now.Sub(f.filled).Seconds()*framesPerSecond) + (written-f.counted)/bytesPerFrame)
	f.filled, f.counted = now, written
}
