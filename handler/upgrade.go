package handler

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// upgrades are the protocols that clients may change to.
var upgrades = []string{"websocket"}

// upgradeToken returns the protocol that the client wants to change to, if it
// is one of upgrades and the only one; else the header is ignored, as RFC 9110
// section 7.8 allows.
func upgradeToken(r *http.Request) string {
	values := r.Header["Upgrade"]
	if len(values) != 1 || r.ProtoMajor != 1 || r.ProtoMinor == 0 || !hasToken(r.Header["Connection"], "upgrade") {
		return ""
	}

	for _, token := range upgrades {
		if httpfield.EqualFold(values[0], token) {
			return token
		}
	}

	return ""
}

// tunnel lets client and application talk to each other without us.
func (x *exchange) tunnel() error {
	client, buffered, err := x.control().Hijack()
	if err != nil {
		return fmt.Errorf("the connection cannot change its protocol: %w", err)
	}

	x.answered, x.event.Status = true, http.StatusSwitchingProtocols
	defer client.Close()
	app := x.conn
	stop := x.session.OnDetach(func() {
		cut(client)
		cut(app)
	})
	defer stop()
	x.h.streams.add(x, app)
	defer x.h.streams.remove(x)
	if err := x.writeSwitch(client); err != nil {
		return nil // the client has gone, which is how a tunnel ends
	}

	var wg sync.WaitGroup
	wg.Go(func() { pipe(app, buffered.Reader, client) })
	wg.Go(func() { pipe(client, x.br, app) })
	wg.Wait()

	return nil
}

func (x *exchange) writeSwitch(client io.Writer) error {
	// What middleware has set goes with it, as with any other response.
	h := x.w.Header().Clone()
	if h == nil {
		h = make(http.Header)
	}

	x.copyHeader(h)
	respell(h, x.spelled, true)
	h.Del("Content-Length")
	h.Del("Transfer-Encoding")
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, x.resp.header["Upgrade"]
	var b strings.Builder
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	if err := h.Write(&b); err != nil {
		return err
	}

	b.WriteString("\r\n")
	_, err := io.WriteString(client, b.String())

	return err
}

// pipe copies one direction up to its end, which it passes on: in order as the
// end of this direction, an error as the end of both.
func pipe(to net.Conn, first io.Reader, from net.Conn) {
	_, err := io.Copy(to, first)
	if err == nil && closeWrite(to) {
		return
	}

	cut(to)
	cut(from)
}
