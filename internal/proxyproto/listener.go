// Package proxyproto takes connections of proxies that say by the PROXY protocol,
// version 1 or 2, who the client is: HAProxy's send-proxy and send-proxy-v2, nginx's
// proxy_protocol, and the load balancers of clouds.
//
// The protocol: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
//
// A connection stays that of the listener, from which no byte behind the header was
// read, so that reads and writes by its descriptor still work.
package proxyproto

import (
	"container/list"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	// HeaderTimeout is how long a proxy may take for its header.
	HeaderTimeout = 5 * time.Second
	// MaxPending is the most connections that have not sent their header yet; the oldest
	// gives way to a new one.
	MaxPending = 1024
	// lastHeaderTime replaces HeaderTimeout when the listener has ended.
	lastHeaderTime = time.Second
)

// Config says which peers are proxies. Each of them has to send the header; connections
// of others are closed.
type Config struct {
	Networks []netip.Prefix
	// Unix reports whether peers on Unix sockets are.
	Unix bool
	// Named is called with each connection whose header has come, and with its client, which may be Unknown. It may be
	// nil, and is called concurrently.
	Named func(c net.Conn, client net.Addr)
	// Refused is called for each connection that was closed, with the reason; it may be nil. It is
	// called concurrently.
	Refused func(peer net.Addr, err error)
}

var (
	// ErrPeer is why a connection of a peer is closed that is not configured.
	ErrPeer = errors.New("it is none of the proxies that may use the PROXY protocol")
	// ErrTooMany is why one is closed that waits for too long while others come.
	ErrTooMany = errors.New("too many connections have not sent their header of the PROXY protocol yet")
)

// Listener accepts the connections of proxies.
type Listener struct {
	net.Listener
	cfg Config

	conns chan net.Conn
	work  sync.WaitGroup

	mu      sync.Mutex
	pending *list.List // of net.Conn, the oldest first
	err     error      // why the listener has ended
	ended   chan struct{}
	once    sync.Once
	closed  chan struct{}
}

// Listen accepts from l at once. When l ends by itself, Accept returns its error after
// what was accepted has been passed on.
func Listen(l net.Listener, cfg Config) *Listener {
	p := &Listener{
		Listener: l,
		cfg:      cfg,
		conns:    make(chan net.Conn),
		pending:  list.New(),
		ended:    make(chan struct{}),
		closed:   make(chan struct{}),
	}
	p.work.Go(p.accept)

	return p
}

// Accept returns the next connection whose header has come. Its RemoteAddr is the
// client's, or Unknown.
func (p *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, &net.OpError{
			Op:   "accept",
			Net:  p.Addr().Network(),
			Addr: p.Addr(),
			Err:  net.ErrClosed,
		}
	case <-p.ended:
		return nil, p.err
	}
}

// Close ends Accept, and closes what has not been accepted.
func (p *Listener) Close() (err error) {
	p.once.Do(func() {
		close(p.closed)
		err = p.Listener.Close()
		p.mu.Lock()
		for e := p.pending.Front(); e != nil; e = e.Next() {
			if c, ok := end(e); ok {
				_ = c.Close()
			}
		}

		p.mu.Unlock()
		p.work.Wait()
	})

	return err
}

// accept ends with the listener.
func (p *Listener) accept() {
	var reading sync.WaitGroup
	for {
		c, err := p.Listener.Accept()
		if err == nil {
			reading.Go(func() { p.greet(c) })
			continue
		}

		if temporary(err) {
			select {
			case <-time.After(acceptPause):
				continue
			case <-p.closed:
			}
		}

		p.hurry()
		reading.Wait()
		p.err = err
		close(p.ended)

		return
	}
}

// acceptPause is how long the listener waits when the system has no descriptors left.
const acceptPause = 50 * time.Millisecond

func temporary(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOBUFS) ||
		errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.ECONNABORTED)
}

// greet passes c on when its header has come.
func (p *Listener) greet(c net.Conn) {
	peer := c.RemoteAddr()
	if !p.cfg.allows(peer) {
		p.refuse(c, ErrPeer)
		return
	}

	e := p.add(c)
	client, err := ReadHeader(c)
	p.mu.Lock()
	p.pending.Remove(e)
	ended := e.Value == nil
	if err == nil {
		err = c.SetReadDeadline(time.Time{})
	}

	p.mu.Unlock()

	switch {
	case ended, errors.Is(err, io.EOF):
		// It was logged, or the listener is closed; and load balancers connect and say nothing
		// to find out whether a server listens.
		_ = c.Close()
		return
	case err != nil:
		p.refuse(c, err)
		return
	}

	if p.cfg.Named != nil {
		p.cfg.Named(c, client)
	}

	select {
	case p.conns <- &conn{Conn: c, client: client}:
	case <-p.closed:
		_ = c.Close()
	}
}

func (p *Listener) refuse(c net.Conn, err error) {
	if p.cfg.Refused != nil {
		p.cfg.Refused(c.RemoteAddr(), err)
	}

	_ = c.Close()
}

// add makes room for c if there is none.
func (p *Listener) add(c net.Conn) *list.Element {
	p.mu.Lock()
	defer p.mu.Unlock()

	// An error shows when something is read.
	_ = c.SetReadDeadline(time.Now().Add(HeaderTimeout))
	select {
	case <-p.closed:
		_ = c.Close()
	default:
	}

	if p.pending.Len() >= MaxPending {
		if oldest, ok := end(p.pending.Front()); ok {
			p.refuse(oldest, ErrTooMany)
		}

		p.pending.Remove(p.pending.Front())
	}

	return p.pending.PushBack(c)
}

// end takes the connection from an element, whose reader learns by it that it was ended.
func end(e *list.Element) (c net.Conn, ok bool) {
	c, ok = e.Value.(net.Conn)
	e.Value = nil

	return c, ok
}

// hurry ends the wait: no other connection will come.
func (p *Listener) hurry() {
	p.mu.Lock()
	defer p.mu.Unlock()

	for e := p.pending.Front(); e != nil; e = e.Next() {
		if c, ok := e.Value.(net.Conn); ok {
			_ = c.SetReadDeadline(time.Now().Add(lastHeaderTime))
		}
	}
}

// allows reports whether the peer is one of the proxies. One whose address is unknown
// is none.
func (c *Config) allows(peer net.Addr) bool {
	switch peer := peer.(type) {
	case *net.UnixAddr:
		return c.Unix
	case *net.TCPAddr:
		ip := peer.AddrPort().Addr().Unmap().WithZone("")
		return slices.ContainsFunc(c.Networks, func(p netip.Prefix) bool { return p.Contains(ip) })
	}

	return false
}

// conn is a connection from a client by a proxy.
type conn struct {
	net.Conn
	client net.Addr
}

// RemoteAddr is the client's.
func (c *conn) RemoteAddr() net.Addr { return c.client }

// NetConn returns the connection from the proxy.
func (c *conn) NetConn() net.Conn { return c.Conn }

// CloseWrite ends what is written, if that can be.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}

	return fmt.Errorf("end a direction of the connection: %w", errors.ErrUnsupported)
}

// ReadFrom lets the kernel copy files, where it can.
func (c *conn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// SyscallConn gives access to the socket.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := c.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}

	return nil, fmt.Errorf("reach the socket of a connection: %w", errors.ErrUnsupported)
}
