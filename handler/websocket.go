package handler

import (
	"crypto/rand"
	"encoding/binary"
	"net"
	"sync"
	"time"
)

// closeGrace is how long both ends of a WebSocket have to end it after the frame that closes it.
const closeGrace = time.Second

// The frame that closes a WebSocket with the code 1012, service restart (RFC 6455, section 5.5.1, and the registry of
// close codes).
const (
	opClose     = 0x88
	maskBit     = 0x80
	codeRestart = 1012
)

// closeFrame returns the frame as a server sends it.
func closeFrame() []byte {
	return binary.BigEndian.AppendUint16([]byte{opClose, 2}, codeRestart)
}

// maskedCloseFrame returns the frame as a client has to send it.
func maskedCloseFrame() []byte {
	frame := append([]byte{opClose, maskBit | 2}, make([]byte, 4)...)
	mask := frame[2:6]
	_, _ = rand.Read(mask)
	frame = binary.BigEndian.AppendUint16(frame, codeRestart)
	frame[6] ^= mask[0]
	frame[7] ^= mask[1]

	return frame
}

// frames follows the frames of one direction of a WebSocket (RFC 6455, section 5.2).
type frames struct {
	// head has the first n bytes of the frame's head.
	head [14]byte
	n    int
	// left is what is to come of the frame after its head.
	left uint64
}

// atBoundary reports whether the next byte begins a frame.
func (f *frames) atBoundary() bool { return f.n == 0 && f.left == 0 }

// next returns how many of the bytes, which follow those before, are before the next boundary; all, if it is not
// among them.
func (f *frames) next(b []byte) int {
	i := 0
	for f.left == 0 && i < len(b) {
		f.head[f.n] = b[i]
		f.n++
		i++

		if left, whole := payload(f.head[:f.n]); whole {
			f.left, f.n = left, 0
			if left == 0 {
				return i
			}
		}
	}

	n := len(b) - i
	if f.left < uint64(n) { //nolint:gosec // G115: not negative
		n = int(f.left) //nolint:gosec // G115: less than n
	}

	f.left -= uint64(n) //nolint:gosec // G115: not negative

	return i + n
}

// payload returns the length that a frame's head states, if the head is whole.
func payload(head []byte) (length uint64, whole bool) {
	if len(head) < 2 {
		return 0, false
	}

	// The length, or how many bytes have it.
	length, size := uint64(head[1]&^maskBit), 0
	switch length {
	case 126:
		size = 2
	case 127:
		size = 8
	}

	end := 2 + size
	if head[1]&maskBit != 0 {
		end += 4
	}

	if len(head) < end {
		return 0, false
	}

	switch size {
	case 2:
		length = uint64(binary.BigEndian.Uint16(head[2:]))
	case 8:
		length = binary.BigEndian.Uint64(head[2:])
	}

	return length, true
}

// tunnel is a WebSocket between a client and the application.
type tunnel struct {
	toClient, toApp direction

	mu sync.Mutex
	// over reports whether the copying has ended.
	over    bool
	closing sync.WaitGroup
}

func newTunnel(client, app net.Conn) *tunnel {
	return &tunnel{
		toClient: newDirection(client, closeFrame()),
		toApp:    newDirection(app, maskedCloseFrame()),
	}
}

// end tells both ends to close the WebSocket, and cuts it soon. It does not wait.
func (t *tunnel) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}

	deadline := time.Now().Add(closeGrace)
	for _, d := range []*direction{&t.toClient, &t.toApp} {
		// An error means that it is closed, which does as well.
		_ = d.to.SetDeadline(deadline)
		t.closing.Go(d.close)
	}
}

// wait waits for what end has begun, when the copying has ended.
func (t *tunnel) wait() {
	t.mu.Lock()
	t.over = true
	t.mu.Unlock()

	t.closing.Wait()
}

// direction is one of a tunnel.
type direction struct {
	to   net.Conn
	last []byte

	// turn has an element while one goroutine writes, which may last: a channel shows in tests what a mutex would hide,
	// that nothing but time moves on.
	turn   chan struct{}
	frames frames
	// ends reports whether last is to be sent at the next boundary, ended whether it was sent: what follows is dropped.
	ends, ended bool
}

func newDirection(to net.Conn, last []byte) direction {
	return direction{to: to, last: last, turn: make(chan struct{}, 1)}
}

// Write sends what comes from the other end.
func (d *direction) Write(b []byte) (int, error) {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()

	rest := b
	for len(rest) > 0 && !d.ends {
		rest = rest[d.frames.next(rest):]
	}

	if !d.ends {
		return d.to.Write(b)
	}

	if !d.ended {
		if _, err := d.to.Write(rest[:d.frames.next(rest)]); err != nil {
			return 0, err
		}

		d.sendLast()
	}

	return len(b), nil
}

// close sends the last frame, now or at the next boundary.
func (d *direction) close() {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()

	d.ends = true
	d.sendLast()
}

func (d *direction) sendLast() {
	if d.ended || !d.frames.atBoundary() {
		return
	}

	d.ended = true
	// The deadline cuts it where this does not succeed.
	_, _ = d.to.Write(d.last)
}
