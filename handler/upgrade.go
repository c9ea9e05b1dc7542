package handler

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// upgrades are the protocols that clients may change to.
var upgrades = []string{"websocket"}

// upgradeToken returns the protocol that the client wants to change to, if it is one of upgrades and the only one;
// otherwise the field is ignored, as RFC 9110 section 7.8 allows.
func upgradeToken(r *http.Request) string {
	values := r.Header["Upgrade"]
	if len(values) != 1 || r.ProtoMajor != 1 || r.ProtoMinor == 0 ||
		!httpfield.HasToken(r.Header["Connection"], "upgrade") {
		return ""
	}

	for _, token := range upgrades {
		if httpfield.EqualFold(values[0], token) {
			return token
		}
	}

	return ""
}

// copyBothWays is a tunnel: it copies between client and application until both have ended.
func (x *exchange) copyBothWays() error {
	client, buffered, err := x.client.hijack()
	if err != nil {
		return err
	}
	defer client.Close()

	app := x.upstream.conn
	t := newTunnel(client, app)

	x.client.status = http.StatusSwitchingProtocols
	if err := x.writeUpgrade(client); err != nil {
		// The client has gone, which is how a tunnel ends.
		return nil
	}

	// It must not keep a process that was removed. Nothing ends it before the client has the head.
	stop := x.upstream.session.OnDetach(t.end)
	defer stop()

	x.addStream(t.end)
	defer x.h.streams.remove(x)

	var wg sync.WaitGroup
	wg.Go(func() { pipe(&t.toApp, buffered, client) })
	wg.Go(func() { pipe(&t.toClient, x.upstream.reader, app) })
	wg.Wait()
	t.wait()

	return nil
}

// writeUpgrade writes the head of the response that changes the protocol.
func (x *exchange) writeUpgrade(client io.Writer) error {
	// What middleware has set goes with it, as with any other response.
	h := x.client.header().Clone()
	if h == nil {
		h = make(http.Header)
	}

	x.copyHeader(h)
	respell(h, x.client.spellings, true)
	h.Del("Content-Length")
	h.Del("Transfer-Encoding")
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, x.upstream.response.header["Upgrade"]

	var b strings.Builder
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	if err := h.Write(&b); err != nil {
		return err
	}

	b.WriteString("\r\n")
	_, err := io.WriteString(client, b.String())

	return err
}

// pipe copies one direction to its end: a regular end ends this direction, an error both.
func pipe(to *direction, first io.Reader, from net.Conn) {
	_, err := io.Copy(to, first)
	if err == nil && closeWrite(to.to) {
		return
	}

	interrupt(to.to)
	interrupt(from)
}
