package hostile_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// reading is how much of a request the application takes before it responds.
type reading int

const (
	readsAll reading = iota
	readsHead
	readsNothing
)

// ending is what the application does when it has responded.
type ending int

const (
	// closes the connection.
	closes ending = iota
	// keeps the connection for the next request.
	keeps
	// drains: half-closes, drops what still comes, and closes.
	drains
	// resets the connection, with bytes unread.
	resets
	// hangs until the server gives the connection up.
	hangs
	// repeats the last part of the response until the server gives the
	// connection up.
	repeats
)

// script is what the application does with a request.
type script struct {
	reads reading
	// patient reports whether it takes a while, and says nothing if the server gives up.
	patient bool
	// pauses reports whether it takes a while between the pieces.
	pauses bool
	// response is sent piece by piece, each in a write of its own.
	response []string
	then     ending
	// late is said on the same connection when the client has its response
	// (keeps), or when the server has given the connection up (hangs).
	late string
	// release is closed when the client has its response, and said when the
	// application has said what is late.
	release, said chan struct{}
	releases      sync.Once
	once          sync.Once
}

func newScript(then ending, response ...string) *script {
	return &script{
		response: response,
		then:     then,
		release:  make(chan struct{}),
		said:     make(chan struct{}),
	}
}

// bytewise says the response byte by byte.
func bytewise(response string) []string { return strings.Split(response, "") }

// sayLate lets what is late be said. With wait it has been said then.
func (sc *script) sayLate(wait bool) {
	sc.releases.Do(func() { close(sc.release) })
	if wait && sc.late != "" && sc.then == keeps {
		<-sc.said
	}
}

// perform responds to the request that came on c. It reports whether c can have
// another one.
func (sc *script) perform(c *appConn) (goesOn bool) {
	if sc.patient && !c.wait(aWhile) {
		return false
	}

	for i, piece := range sc.response {
		if sc.pauses && i > 0 && !c.wait(pause) {
			return false
		}

		if _, err := io.WriteString(c, piece); err != nil {
			return false
		}
	}

	switch sc.then {
	case keeps:
		if sc.late != "" {
			<-sc.release
			_, _ = io.WriteString(c, sc.late) // it may be closed, as it should
			sc.once.Do(func() { close(sc.said) })
		}

		return true
	case drains:
		closeWrite(c.Conn)
		_, _ = io.Copy(io.Discard, c.br)
	case resets:
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		} // else what is unread does it
	case hangs:
		_, _ = io.Copy(io.Discard, c.br)
		_, _ = io.WriteString(c, sc.late)
	case repeats:
		for err := error(nil); err == nil; {
			_, err = io.WriteString(c, sc.response[len(sc.response)-1])
		}
	case closes:
	}

	return false
}

const (
	// aWhile is how long an application takes that is patient.
	aWhile = 150 * time.Millisecond
	// pause is longer than the server waits for pieces to come together.
	pause = 40 * time.Millisecond
)

// wait reports whether the connection lasts so long.
func (c *appConn) wait(while time.Duration) bool {
	_ = c.SetReadDeadline(time.Now().Add(while))
	_, err := c.br.Peek(1)
	return errors.Is(err, os.ErrDeadlineExceeded) && c.SetReadDeadline(time.Time{}) == nil
}
