package goapp

import (
	"bytes"
	"net"
	"net/http"
	"sync"
)

const maxDirectConnections = 32

// directListener closes new connections at once when there are too many.
type directListener struct {
	*net.TCPListener
	mu              sync.Mutex
	open, lingering int // each at most maxDirectConnections
}

func (l *directListener) Accept() (net.Conn, error) {
	for {
		tcp, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}

		conn := &directConn{TCPConn: tcp, listener: l}
		if l.count(conn, &l.open) {
			return conn, nil
		}

		_ = tcp.Close()
	}
}

// count makes a connection count as one of those in as, or as none if as is nil. It returns false
// if there was no room.
func (l *directListener) count(c *directConn, as *int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.counted != nil {
		*c.counted--
		c.counted = nil
	}

	if as == nil || *as == maxDirectConnections {
		return false
	}

	*as++
	c.counted = as

	return true
}

type directConnKey struct{}

// directConn keeps the head of the request as it came. Package net/http resolves contradictions in
// it, which we refuse.
type directConn struct {
	*net.TCPConn
	head     []byte
	complete bool

	listener *directListener
	counted  *int // guarded by listener.mu
}

func (c *directConn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	if !c.complete {
		searched := max(0, len(c.head)-len("\n\r"))
		c.head = append(c.head, b[:n]...)

		// A line feed alone ends a line for net/http too.
		tail := c.head[searched:]
		c.complete = bytes.Contains(tail, []byte("\n\n")) || bytes.Contains(tail, []byte("\n\r\n"))
	}

	return n, err
}

// CloseWrite is called after the response, with some time before the Close.
func (c *directConn) CloseWrite() error {
	if !c.listener.count(c, &c.listener.lingering) {
		return c.TCPConn.Close()
	}

	return c.TCPConn.CloseWrite()
}

func (c *directConn) Close() error {
	c.listener.count(c, nil)
	return c.TCPConn.Close()
}

// countFields returns the number of fields in the head of the request, and of those that state the
// length of its body.
func (c *directConn) countFields() (fields, lengths int) {
	first := true
	for line := range bytes.Lines(c.head) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}

		if first {
			first = false
			continue
		}

		fields++

		name, _, _ := bytes.Cut(line, []byte(":"))
		switch http.CanonicalHeaderKey(string(name)) {
		case "Content-Length", "Transfer-Encoding":
			lengths++
		}
	}

	return fields, lengths
}
