// Package connlimit bounds the connections of an HTTP server, so that clients that
// connect and send nothing, or half a request, leave descriptors for others: for other
// clients, for connections to applications, and for starting their processes.
package connlimit

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/peercred"
	"github.com/gopassenger/passenger/internal/ratelog"
)

// Limits bound connections.
type Limits struct {
	// Total is how many there may be. Beyond it, one that waits for its client gives way
	// to a new one, and if there is none, the new one is closed.
	Total int
	// PerClient is how many of one client there may be that have not had a whole request.
	// The one that has waited for longest gives way to a new one. A client is a user on a
	// Unix socket, an IPv4 address or the first 64 bits of an IPv6 address. Root and the
	// server's own user have no such limit.
	PerClient int
}

// Default returns limits for a process that may have n descriptors: a quarter of
// them is kept back.
func Default(descriptors uint64) Limits {
	total := int(min(descriptors, 1<<30))
	total -= max(total/4, min(64, total/2))

	return Limits{Total: max(total, 1), PerClient: max(total/4, 1)}
}

// Limiter counts the connections of one server. It is safe for concurrent use.
type Limiter struct {
	limits Limits
	log    logr.Logger
	closed ratelog.Line

	mu    sync.Mutex
	conns map[net.Conn]*entry
	// clients are those that have connections, and waiting those of them that have some that wait.
	clients, waiting map[peer]*client
	// swept is when forgetClosed has looked.
	swept time.Time
}

// peer is the client that connections count for.
type peer struct {
	name    string
	trusted bool
}

// client has the connections of a peer that wait: silent ones without a request so far,
// and idle ones between two, the longest waiting first.
type client struct {
	peer         peer
	conns        int
	silent, idle queue
}

func (c *client) waiting() int { return c.silent.size + c.idle.size }

// entry is a connection.
type entry struct {
	conn   net.Conn
	client *client
	// in is where it waits; nil means that it has a request.
	in           *queue
	before, next *entry
	// removed reports whether it does not count any more.
	removed bool
}

// queue is a list of entries, each of which is in one at most.
type queue struct {
	first, last *entry
	size        int
}

func (q *queue) push(e *entry) {
	e.in, e.before = q, q.last
	if q.last == nil {
		q.first = e
	} else {
		q.last.next = e
	}

	q.last = e
	q.size++
}

func (q *queue) remove(e *entry) {
	if e.before == nil {
		q.first = e.next
	} else {
		e.before.next = e.next
	}

	if e.next == nil {
		q.last = e.before
	} else {
		e.next.before = e.before
	}

	e.in, e.before, e.next = nil, nil, nil
	q.size--
}

// New returns a Limiter that tells log of connections that it closes.
func New(limits Limits, log logr.Logger) *Limiter {
	return &Limiter{
		limits:  limits,
		log:     log,
		conns:   map[net.Conn]*entry{},
		clients: map[peer]*client{},
		waiting: map[peer]*client{},
	}
}

// Listener returns a listener of connections that count from Accept on.
func (l *Limiter) Listener(inner net.Listener) net.Listener { return listener{inner, l} }

type listener struct {
	net.Listener
	limiter *Limiter
}

func (l listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || l.limiter.enter(conn) {
			return conn, err
		}

		// No server has got it.
		_ = conn.Close()
	}
}

// Track is an http.Server's ConnState, of connections that Listener has accepted or that
// tell one of these by NetConn.
func (l *Limiter) Track(conn net.Conn, state http.ConnState) {
	conn = innermost(conn)
	l.mu.Lock()
	defer l.mu.Unlock()
	// Otherwise it was closed to make room.
	if e := l.conns[conn]; e != nil {
		l.track(e, state)
	}
}

// Follow returns what Track does for one connection.
func (l *Limiter) Follow(conn net.Conn) func(http.ConnState) {
	conn = innermost(conn)
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.conns[conn]
	if e == nil {
		return func(http.ConnState) {}
	}

	return func(state http.ConnState) {
		l.mu.Lock()
		defer l.mu.Unlock()
		// It may have been closed to make room meanwhile.
		if !e.removed {
			l.track(e, state)
		}
	}
}

func (l *Limiter) track(e *entry, state http.ConnState) {
	switch state {
	case http.StateNew:
	case http.StateActive, http.StateHijacked:
		l.stopWaiting(e)
	case http.StateIdle:
		l.stopWaiting(e)
		l.wait(e, &e.client.idle)
	case http.StateClosed:
		l.remove(e)
	}
}

// Open returns how many connections there are.
func (l *Limiter) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()

	// At once, so that the number is right.
	l.swept = time.Time{}
	l.forgetClosed()

	return len(l.conns)
}

func innermost(conn net.Conn) net.Conn {
	for {
		outer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}

		conn = outer.NetConn()
	}
}

// Reasons for closing a connection.
const (
	tooManyOfClient = "a connection without a request was closed: its client has as many as it may have"
	tooMany         = "a connection without a request was closed: there are as many connections as there may be"
	allBusy         = "a connection was refused: there are as many as there may be, and all of them have requests"
)

// enter counts a connection; false means that there is no room for it.
func (l *Limiter) enter(conn net.Conn) bool {
	e, p := &entry{conn: innermost(conn)}, peerOf(conn)
	l.mu.Lock()
	l.forgetClosed()
	full := len(l.conns) >= l.limits.Total
	var made *entry
	if full {
		made = l.makeRoom()
	}

	var evicted *entry
	entered := !full || made != nil
	if entered {
		l.conns[e.conn] = e
		e.client = l.clientOf(p)
		e.client.conns++
		l.wait(e, &e.client.silent)
		evicted = l.limitClient(e.client)
	}

	l.mu.Unlock()

	// Without the lock, since each close may take some time.
	l.close(made, tooMany)
	l.close(evicted, tooManyOfClient)
	if !entered {
		l.tell(allBusy, p)
	}

	return entered
}

// Assign counts a connection for the client of that address, for which a proxy has connected.
func (l *Limiter) Assign(conn net.Conn, addr net.Addr) {
	p := peerAt(addr.String())

	l.mu.Lock()

	var evicted *entry
	// Otherwise it was closed to make room.
	if e := l.conns[innermost(conn)]; e != nil {
		l.remove(e)

		e.removed = false
		l.conns[e.conn] = e
		e.client = l.clientOf(p)
		e.client.conns++
		l.wait(e, &e.client.silent)
		evicted = l.limitClient(e.client)
	}

	l.mu.Unlock()

	l.close(evicted, tooManyOfClient)
}

// limitClient takes out the silent one that has waited for longest, if it is one too many.
func (l *Limiter) limitClient(c *client) *entry {
	if c.peer.trusted || c.silent.size <= l.limits.PerClient {
		return nil
	}

	return l.evict(c)
}

// maxLookedAt is how many clients are compared to find one that has many connections:
// there may be as many clients as connections.
const maxLookedAt = 64

// makeRoom takes out a connection of a client that has many that wait, or returns nil.
func (l *Limiter) makeRoom() *entry {
	var most *client

	looked := 0
	// In any order, so that no client is spared each time.
	for _, c := range l.waiting {
		if most == nil || c.waiting() > most.waiting() {
			most = c
		}

		if looked++; looked == maxLookedAt {
			break
		}
	}

	if most == nil {
		return nil
	}

	return l.evict(most)
}

// evict takes out the connection that has waited for longest, first of those that have
// never had a request.
func (l *Limiter) evict(c *client) *entry {
	e := c.silent.first
	if e == nil {
		e = c.idle.first
	}

	l.remove(e)

	return e
}

func (l *Limiter) clientOf(p peer) *client {
	c := l.clients[p]
	if c == nil {
		c = &client{peer: p}
		l.clients[p] = c
	}

	return c
}

func (l *Limiter) wait(e *entry, in *queue) {
	if e.client.waiting() == 0 {
		l.waiting[e.client.peer] = e.client
	}

	in.push(e)
}

func (l *Limiter) stopWaiting(e *entry) {
	if e.in == nil {
		return
	}

	e.in.remove(e)
	if e.client.waiting() == 0 {
		delete(l.waiting, e.client.peer)
	}
}

func (l *Limiter) remove(e *entry) {
	l.stopWaiting(e)
	delete(l.conns, e.conn)

	e.removed = true
	if e.client.conns--; e.client.conns == 0 {
		delete(l.clients, e.client.peer)
	}
}

// sweepInterval is how long forgetClosed does not look again, and fullInterval if there
// is no room.
const (
	sweepInterval = time.Minute
	fullInterval  = time.Second
)

// forgetClosed removes connections that have been closed and of which no server has told:
// hijacked ones, and those of which no server has got a byte.
func (l *Limiter) forgetClosed() {
	interval := sweepInterval
	if len(l.conns) >= l.limits.Total {
		interval = fullInterval
	}

	now := time.Now()
	if now.Sub(l.swept) < interval {
		return
	}

	l.swept = now
	for conn, e := range l.conns {
		if isClosed(conn) {
			l.remove(e)
		}
	}
}

func isClosed(conn net.Conn) bool {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}

	raw, err := c.SyscallConn()

	return err != nil || raw.Control(func(uintptr) {}) != nil
}

// closeTime is how long closing a connection may hold up the next one.
const closeTime = 10 * time.Millisecond

// close closes what was taken out, which the server notices. It waits for that, since the next connection needs the
// descriptor, but not for a request that came at the same time, whose reader keeps it.
func (l *Limiter) close(e *entry, why string) {
	if e == nil {
		return
	}

	closed := make(chan struct{})
	go func() {
		defer close(closed)

		// Otherwise it was closed.
		if e.conn.Close() == nil {
			l.tell(why, e.client.peer)
		}
	}()

	timer := time.NewTimer(closeTime)
	defer timer.Stop()

	select {
	case <-closed:
	case <-timer.C:
	}
}

func (l *Limiter) tell(what string, of peer) {
	l.closed.Tell(func(more int) {
		l.log.Info(what, "client", of.name, "more", more, "max", l.limits.Total, "maxPerClient", l.limits.PerClient)
	})
}

// peerOf returns who is at the other end.
func peerOf(conn net.Conn) peer {
	if c, ok := conn.(*net.UnixConn); ok {
		cred, known, err := peercred.Of(c)
		if err != nil || !known {
			return peer{name: "a user that the system does not tell"}
		}

		return peer{"user " + strconv.Itoa(cred.UID), cred.UID == 0 || cred.UID == os.Geteuid()}
	}

	return peerAt(conn.RemoteAddr().String())
}

// peerAt returns who is at an address.
func peerAt(remote string) peer {
	addrPort, err := netip.ParseAddrPort(remote)
	if err != nil {
		return peer{name: remote}
	}

	// An address of IPv4 has a form of IPv6, too, and a zone is the interface that it came by.
	addr := addrPort.Addr().Unmap().WithZone("")
	if addr.Is6() {
		// It has as many bits.
		prefix, _ := addr.Prefix(64)
		return peer{name: prefix.String()}
	}

	return peer{name: addr.String()}
}
