package testapp

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/gopassenger/passenger/sessionproto"
)

const stageVar = paramPrefix + "STAGE"

// original is a loader with the habits of those that know protocol 1.0 only: it
// prints between the lines of the protocol, executes itself after it has read
// its options, reports a socket for people, takes one connection at a time,
// reads a body up to where the other side stops sending, whatever its length,
// and closes the connection after each response, whose end that is.
func original(p *player) {
	print("booting\n")
	p.handshake()
	print("options are here\n")
	if os.Getenv(stageVar) == "" {
		check(os.Setenv(stageVar, "2"))
		check(syscall.Exec(os.Args[0], os.Args, os.Environ())) //nolint:gosec // G702: itself, again
	}

	l := p.listen("unix", p.socketPath())
	people := p.listen("tcp", "127.0.0.1:0")
	go p.serveOriginal(l)
	print("\n!> Ready\nnoise\n!> socket: main;unix:" + p.socketPath() + ";session;1\nmore noise\n" +
		"!> socket: http;tcp://" + people.Addr().String() + ";http;1\n!>not of the protocol\n!> \nserving\n")
	p.AwaitEnd()
}

func (p *player) serveOriginal(l net.Listener) {
	for {
		c, err := l.Accept()
		check(err)
		p.respondOriginal(c)
		_ = c.Close()
	}
}

func (p *player) respondOriginal(c net.Conn) {
	in := bufio.NewReader(c)
	h, err := sessionproto.ReadHeader(in)
	if err != nil || h.CheckPassword(p.opts["connect_password"]) != nil {
		return
	}

	if h.IsOOBW() {
		_, _ = io.WriteString(c, sessionproto.OOBWReply)
		return
	}

	if checkSession(c, h) {
		return
	}

	var body []byte
	if h["CONTENT_LENGTH"] != "" {
		if body, err = io.ReadAll(in); err != nil {
			return
		}
	}

	_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nStatus: 200 OK\r\nConnection: close\r\n\r\n")
	if h["REQUEST_METHOD"] != "HEAD" {
		_, _ = fmt.Fprintf(c, "%s %s %s", h["REQUEST_METHOD"], h["CONTENT_LENGTH"], body)
	}
}
