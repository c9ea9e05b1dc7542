package headguard

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopassenger/passenger/internal/httphead"
	"github.com/gopassenger/passenger/internal/pace"
	"github.com/gopassenger/passenger/internal/rawsock"
)

// mode is what a connection is sent next.
type mode int

const (
	inHead mode = iota
	inBody
	inChunks
	// undecided means that the client has asked for another protocol. What follows is in that one,
	// or else a head, which only net/http's next step tells.
	undecided
	// passing means that it is nothing that could be checked.
	passing
	// refused means that nothing more is read.
	refused
)

// Conn is a connection whose bytes are checked. As with net/http's own, one goroutine
// reads at a time.
type Conn struct {
	net.Conn // below the check: that of TLS, if it is spoken

	guard *Guard
	// self is the connection as net/http knows it.
	self net.Conn
	tls  *tls.Conn // nil means that it is not spoken
	// state is set by the handshake, before there is a request; nil without TLS.
	state  *tls.ConnectionState
	shaken bool

	mode  mode
	first bool // the next head is the first one
	// ahead counts the heads that net/http gets or has got, and has not served.
	ahead int
	// waits reports whether net/http waits for a head and has not got a byte of it.
	waits bool
	// posted reports whether the last request was a POST, which a line end may follow.
	posted bool
	// head is one that is incomplete; nil means that there is none.
	head   *httphead.Head
	left   int64 // of a body of known length
	chunks httphead.Chunks

	// stash has bytes that net/http has not got yet: those before good are checked, and
	// those before given are gone. In mode undecided, given may be larger than good.
	stash       []byte
	given, good int

	refusal atomic.Pointer[httphead.Error]
	dropped int // how much was read after it

	// frames are those of a client of HTTP/2; nil means that it speaks another protocol.
	frames *frames
	// flooded means that they have ended the connection.
	flooded bool
	// written counts the bytes of HTTP/2 that were written.
	written atomic.Int64
	// writing limits the time for a write; nil means that there was none.
	writing *pace.Pace
	// busy reports whether something is being written.
	busy atomic.Bool
	// hijacked reports whether the connection belongs to another writer.
	hijacked atomic.Bool
	// sending reports whether the client has not sent all of the body that its last head announces, and lingers
	// whether Close waits for such a client.
	sending, lingers atomic.Bool
	// hasBegun reports whether a part of a head has come of which net/http has nothing yet.
	hasBegun atomic.Bool
}

type readerFrom interface {
	ReadFrom(r io.Reader) (int64, error)
}

// sendingConn is a connection that can be sent a file without looking at it.
type sendingConn struct {
	*Conn

	to readerFrom
}

func (c *sendingConn) ReadFrom(r io.Reader) (int64, error) {
	c.busy.Store(true)
	defer c.busy.Store(false)

	return c.to.ReadFrom(r)
}

func unwrap(c net.Conn) *Conn {
	switch c := c.(type) {
	case *Conn:
		return c
	case *sendingConn:
		return c.Conn
	}

	return nil
}

// NetConn returns the connection below.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// CloseWrite ends the direction to the client. net/http calls it before it closes the connection of a client that may
// still be sending.
func (c *Conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}

	err := half.CloseWrite()
	if err == nil && !c.hijacked.Load() {
		// Once is enough: Close comes next.
		c.lingers.Store(false)
		c.linger()
	}

	return err
}

const stashSize = 4 << 10

var (
	stashes = sync.Pool{New: func() any { return new([stashSize]byte) }}
	heads   = sync.Pool{New: func() any { return new(httphead.Head) }}
)

// Read returns bytes that were checked.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}

	if c.tls != nil && !c.shaken {
		// The failure was logged.
		if err := c.handshake(); err != nil {
			return 0, io.EOF
		}
	}

	for {
		if n := c.give(p); n > 0 {
			return n, nil
		}

		switch c.mode {
		case passing:
			n, err := c.Conn.Read(p)
			if c.frames != nil && !c.frames.count(p[:n]) {
				return 0, c.endFlood()
			}

			return n, err
		case refused:
			return 0, c.drop()
		case undecided:
			return c.readEarly(p)
		case inHead, inBody, inChunks:
		}

		n, err := c.read(p)
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// endFlood tells that the client's frames end the connection, once: nothing more is read.
func (c *Conn) endFlood() error {
	if told := c.guard.Flooded; told != nil && !c.flooded {
		c.flooded = true
		told(c.RemoteAddr(), errFrames)
	}

	return errFrames
}

// read reads and checks. It returns no bytes and no error where Read is to look again.
func (c *Conn) read(p []byte) (int, error) {
	if len(c.stash) > 0 {
		return 0, c.readMore()
	}

	n, err := c.Conn.Read(p)
	for left := int64(0); n == 0 && c.takes(err, &left); {
		n, err = c.Conn.Read(p)
	}

	if n == 0 {
		return 0, err
	}

	good := c.check(p[:n])
	if good < n || c.mode == refused {
		c.keep(p[good:n])
	}

	if good > 0 {
		// net/http has a part of the head.
		c.waits = false
	}

	return good, nil
}

// takes waits for a client whose time for another request is over while the kernel has a part of its last response: for
// as long as it takes more of it. One that does not is reset, since the kernel would keep that for minutes. before is
// what was left at the last look.
func (c *Conn) takes(err error, before *int64) bool {
	limit := c.guard.StallTimeout
	if !c.waits || limit <= 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}

	left, known := rawsock.Unsent(c.Conn)
	if !known || left == 0 {
		return false
	}

	if *before > 0 && left >= *before {
		rawsock.Drop(c.Conn)
		return false
	}

	*before = left

	return c.SetReadDeadline(time.Now().Add(limit)) == nil
}

// Close closes the connection. The kernel keeps what the client has not taken yet for as long as it takes more of it.
func (c *Conn) Close() error {
	if c.guard.draining.Load() && c.hasBegun.Load() {
		return nil // see Drain
	}

	// net/http waits for clients that would keep the connection, and have announced a length without an expectation. It
	// waits neither for others, nor where it refuses a request itself.
	if c.lingers.Load() && c.sending.Load() && !c.hijacked.Load() {
		_ = c.CloseWrite()
	}

	if limit := c.guard.StallTimeout; limit > 0 {
		rawsock.BoundUnsent(c.Conn, limit)
	}

	return c.Conn.Close()
}

// lingerTime is how long a client may continue to send a body that is not read any more.
const lingerTime = 500 * time.Millisecond

// linger reads on, so that a client that is still sending takes the response: a close would reset the connection, and
// proxies drop a response for the error of writing (RFC 9112, section 9.6). One that does not read before it has sent
// everything, such as Apache, would be stuck until then.
func (c *Conn) linger() {
	if c.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}

	scratch := stashes.Get().(*[stashSize]byte) //nolint:forcetypeassert,errcheck // its New makes nothing else
	defer stashes.Put(scratch)

	for {
		if _, err := c.Conn.Read(scratch[:]); err != nil {
			return
		}
	}
}

// readMore reads what is missing behind the stash.
func (c *Conn) readMore() error {
	if gone := min(c.given, c.good); gone > 0 {
		n := copy(c.stash, c.stash[gone:])
		c.stash, c.good, c.given = c.stash[:n], c.good-gone, c.given-gone
	}

	if len(c.stash) == cap(c.stash) {
		c.stash = append(make([]byte, 0, 2*cap(c.stash)), c.stash...)
	}

	c.begun()
	n, err := c.Conn.Read(c.stash[len(c.stash):cap(c.stash)])
	if n == 0 {
		c.hasBegun.Store(false)
		return err
	}

	c.stash = c.stash[:len(c.stash)+n]
	c.checkStash()

	return nil
}

func (c *Conn) checkStash() {
	c.good += c.check(c.stash[c.good:])
	if c.mode == refused {
		c.stash = append(c.stash[:max(c.good, c.given)], c.decoy()...)
		c.good = len(c.stash)
	}
}

// keep puts what is not good yet into the stash; if the connection is refused, what
// net/http is to get in its place.
func (c *Conn) keep(rest []byte) {
	stash := stashes.Get().(*[stashSize]byte) //nolint:forcetypeassert,errcheck // its New makes nothing else
	c.stash, c.given, c.good = stash[:0], 0, 0
	if c.mode == refused {
		c.stash = append(c.stash, c.decoy()...)
		c.good = len(c.stash)
		return
	}

	c.stash = append(c.stash, rest...)
}

// give copies what is good out of the stash.
func (c *Conn) give(p []byte) int {
	if c.given >= c.good {
		return 0
	}

	c.waits = false
	n := copy(p, c.stash[c.given:c.good])
	c.given += n
	if c.given == len(c.stash) {
		c.emptyStash()
	}

	return n
}

func (c *Conn) emptyStash() {
	// One that has grown is not worth keeping.
	if cap(c.stash) == stashSize {
		stashes.Put((*[stashSize]byte)(c.stash[:stashSize]))
	}

	c.stash, c.given, c.good = nil, 0, 0
}

// readEarly gives net/http a byte of what it may be about to leave to another reader, and
// remembers it: net/http looks whether the client is still there.
func (c *Conn) readEarly(p []byte) (int, error) {
	if c.given < len(c.stash) {
		p[0] = c.stash[c.given]
		c.given++
		return 1, nil
	}

	n, err := c.Conn.Read(p[:1])
	if n > 0 {
		if c.stash == nil {
			c.keep(nil)
		}

		c.stash = append(c.stash, p[0])
		c.given++
	}

	return n, err
}

// maxDropped is the most bytes that are read and dropped.
const maxDropped = 256 << 10

// drop reads what follows a request that is refused, up to the connection's end: net/http
// takes an error for the end of the client, who may still get responses to requests before.
func (c *Conn) drop() error {
	scratch := stashes.Get().(*[stashSize]byte) //nolint:forcetypeassert,errcheck // its New makes nothing else
	defer stashes.Put(scratch)

	for c.dropped < maxDropped {
		n, err := c.Conn.Read(scratch[:])
		c.dropped += n
		if n == 0 {
			return err
		}
	}

	return io.EOF
}

// Write writes p within the time that a client has for it.
func (c *Conn) Write(p []byte) (int, error) {
	c.busy.Store(true)
	defer c.busy.Store(false)

	c.written.Add(int64(len(p)))

	limit := c.guard.StallTimeout
	if limit <= 0 || c.hijacked.Load() {
		return c.Conn.Write(p)
	}

	if c.writing == nil {
		c.writing = pace.Writing(c.Conn, c.unsent)
	}

	// A large p has the time of all its pieces.
	c.writing.Begin(time.Now().Add(limit * time.Duration(pace.Pieces(len(p)))))
	defer c.writing.End()

	return c.Conn.Write(p)
}

// unsent is a [pace.Unsent]. While nothing is being written, a client of HTTP/2 may have closed its window, and take
// what it gets of other streams.
func (c *Conn) unsent() (bytes int64, known bool) {
	if !c.busy.Load() {
		return 0, false
	}

	return rawsock.Unsent(c.Conn)
}

// stepAside lets everything pass: the connection belongs to another reader, and writer, now.
func (c *Conn) stepAside() {
	c.hijacked.Store(true)
	c.mode = passing
	c.good = len(c.stash)
	if c.given == c.good {
		c.emptyStash()
	}
}

// idle is called when net/http begins to wait for the next head.
func (c *Conn) idle() {
	c.ahead--

	// A head that has come with the request before is not waited for, and its body has a time of its own.
	c.waits = c.ahead <= 0
	if c.mode != undecided {
		return
	}

	c.mode = inHead
	if len(c.stash) > 0 {
		c.checkStash()
	}

	if len(c.stash) > 0 && c.given == len(c.stash) && c.good == c.given {
		c.emptyStash()
	}
}

// begun is called when a part of a head has come. The first one sets the time for all of it,
// and the server must not take the connection for an idle one.
func (c *Conn) begun() {
	if !c.waits {
		return
	}

	c.waits = false
	c.hasBegun.Store(true)
	if c.guard.Track != nil {
		c.guard.Track(c.self, http.StateActive)
	}

	if d := c.guard.HeaderTimeout; d > 0 {
		// An error shows in reading.
		_ = c.SetReadDeadline(time.Now().Add(d))
	}
}

// decoy is what net/http gets in the place of what is refused.
func (c *Conn) decoy() string {
	if c.refusal.Load() == nil {
		return "" // the client has got its reason already
	}

	if c.given > c.good {
		// net/http has the beginning of the head, which this makes a bad one.
		return "\x00\r\n\r\n"
	}

	switch c.chunks.Part() {
	case httphead.InSize, httphead.InTrailer:
		return ":\r\n\r\n"
	case httphead.InEnd:
		// net/http expects the line end of a chunk.
		return "xx"
	case httphead.InData, httphead.Ended:
	}

	return refusedHead()
}

// isPlain tells a client that speaks no TLS at all.
func isPlain(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		return true
	}

	return false
}
