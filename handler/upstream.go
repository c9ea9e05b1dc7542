package handler

import (
	"bufio"
	"context"
	"net"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner"
)

// upstream is the application's side of an exchange: the session with a process and its connection, on which the
// request is sent and the response read.
type upstream struct {
	session *passenger.Session
	conn    net.Conn
	// stopWatch ends the watch over the client; nil means that there is none.
	stopWatch func() bool
	// unsent reports whether the connection took no byte of the request.
	unsent bool
	// upload is the request's body on its way; nil means that it was sent with the head.
	upload *upload

	response response
	body     responseBody
	// released reports whether the process was let go.
	released bool

	// buf has the request's head, and then the response's.
	buf     []byte
	encoder sessionproto.Encoder
	// fastCGI is for processes of that protocol.
	fastCGI fastCGI
	writer  *headWriter
	// reader reads from conn.
	reader *bufio.Reader
}

// reset makes the upstream ready for the next exchange, which gets its memory.
func (u *upstream) reset() {
	if u.reader != nil {
		u.reader.Reset(nil)
		readers.Put(u.reader)
	}

	// They would keep the whole head, which is long.
	clear(u.response.spellings)

	u.session, u.conn, u.stopWatch, u.upload, u.reader = nil, nil, nil, nil, nil
	u.unsent, u.released = false, false
	u.response = response{header: u.response.header, spellings: u.response.spellings[:0]}
	u.body = responseBody{}
	u.buf = u.buf[:0]
	u.fastCGI.reset()
}

func (u *upstream) speaksHTTP() bool { return u.session.Protocol() == spawner.HTTPProtocol }

func (u *upstream) speaksSession() bool { return u.session.Protocol() == spawner.SessionProtocol }

// halfClosesBody reports whether closing one direction ends a body, which is the original's way in the session
// protocol, for loaders that know no other.
func (u *upstream) halfClosesBody() bool { return u.speaksSession() && !u.session.KeepsSessionsOpen() }

// watch interrupts the connection when the client goes away.
func (u *upstream) watch(ctx context.Context) {
	conn := u.conn
	after := func() { interrupt(conn) }

	// Package context would make a context and a channel for it.
	if own, ok := ctx.(interface{ AfterFunc(f func()) func() bool }); ok {
		u.stopWatch = own.AfterFunc(after)
	} else {
		u.stopWatch = context.AfterFunc(ctx, after)
	}
}

// unwatch ends the watch, and reports whether it was in time.
func (u *upstream) unwatch() bool {
	stop := u.stopWatch
	u.stopWatch = nil

	return stop == nil || stop()
}

// openReader begins to read from the connection.
func (u *upstream) openReader() {
	if u.reader == nil {
		u.reader = readers.Get().(*bufio.Reader) //nolint:forcetypeassert,errcheck // the pool's New makes nothing else
	}

	if u.speaksFastCGI() {
		u.reader.Reset(u.fastCGI.open(u))
	} else {
		u.reader.Reset(u.conn)
	}
}

// keepsAlive reports whether the application keeps the connection open, and nothing is on it.
func (u *upstream) keepsAlive(hadBody bool) bool {
	if u.speaksFastCGI() {
		return u.session.MayKeepIdle() && u.response.complete && u.endsFastCGI()
	}

	if !u.response.complete || !u.response.keepAlive || u.reader.Buffered() > 0 {
		return false
	}

	if u.speaksSession() {
		return u.session.KeepsSessionsOpen() || !hadBody
	}

	return true
}

// interrupt makes whatever waits for the connection fail at once.
func interrupt(conn net.Conn) {
	// An error means that it is closed, which does as well.
	_ = conn.SetDeadline(past)
}

// closeWrite ends one direction of a connection, and reports whether it could.
func closeWrite(conn net.Conn) bool {
	c, ok := conn.(interface{ CloseWrite() error })
	return ok && c.CloseWrite() == nil
}
