package hostile_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// response is one that a client has got.
type response struct {
	status int
	header http.Header
	body   string
	// whole reports whether the body came to its end.
	whole bool
	// last reports whether the connection ends with it.
	last bool
	// framing is how its end shows: by its length, as chunked, or by the
	// close of the connection.
	framing string
	// rest: it is not a response but what came where one was expected.
	rest string
	// nothing reports whether nothing came, either.
	nothing bool
}

func (a *response) isInterim() bool {
	return a.status >= 100 && a.status < 200 && a.status != http.StatusSwitchingProtocols
}

func (a response) String() string {
	text := fmt.Sprintf("%d %.60q", a.status, a.body)
	if a.rest != "" {
		text = fmt.Sprintf("no response: %.80q", a.rest)
	} else if !a.whole {
		text += " (cut)"
	}

	return text
}

func (s *server) dial() (net.Conn, error) { return s.dialFor("http/1.1") }

// dialFor makes a connection for a protocol, which it agrees on by TLS.
func (s *server) dialFor(protocol string) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", s.addr, deadline)
	if err != nil {
		return nil, err
	}

	if err := c.SetDeadline(time.Now().Add(deadline)); err != nil || s.tls == nil {
		return c, err
	}

	config := s.tls.Clone()
	config.NextProtos = []string{protocol}
	secure := tls.Client(c, config)

	return secure, secure.Handshake()
}

// errReset: the server has closed the connection although there was more to
// read, so that what it had said before may be lost.
var errReset = errors.New("the server resets the connection")

// exchange sends raw on a connection of its own, piece by piece, and returns
// what comes until the server closes it. With half the client closes its
// direction when it has sent everything.
func (s *server) exchange(half bool, raw ...string) (string, error) {
	c, err := s.dial()
	if err != nil {
		return "", err
	}
	defer c.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)

		for _, piece := range raw {
			if _, err := io.WriteString(c, piece); err != nil {
				return // the server may close the connection whenever it likes
			}
		}

		if half {
			closeWrite(c)
		}
	}()
	got, err := io.ReadAll(c)
	_ = c.Close()
	<-sent

	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return string(got), errors.New("the server does not close the connection")
	case errors.Is(err, syscall.ECONNRESET):
		return string(got), errReset
	}

	return string(got), nil
}

func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// isCut reports whether the error is one of a connection that the peer has ended.
func isCut(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)
}

// parseResponses takes apart what a client has got, to a request by method first
// and by GET then.
func parseResponses(raw, method string) (all []response) {
	br := bufio.NewReader(strings.NewReader(raw))
	for {
		a := readResponse(br, method)
		if a.nothing {
			return all
		}

		all = append(all, a)
		if a.rest != "" || !a.whole {
			return all
		}

		if !a.isInterim() {
			method = http.MethodGet
		}
	}
}

func readResponse(br *bufio.Reader, method string) response {
	if _, err := br.Peek(1); err != nil {
		return response{rest: err.Error(), nothing: true}
	}

	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		rest, _ := io.ReadAll(br) // it says enough
		return response{rest: fmt.Sprintf("%v: %s", err, rest)}
	}
	defer resp.Body.Close()

	a := response{
		status:  resp.StatusCode,
		header:  resp.Header,
		last:    resp.Close,
		framing: "length",
	}
	switch {
	case len(resp.TransferEncoding) > 0:
		a.framing = "chunked"
	case resp.ContentLength < 0:
		a.framing = "close"
	}

	body, err := io.ReadAll(resp.Body)
	a.body, a.whole = string(body), err == nil

	return a
}

// followUp sends n requests, each with an id, on two connections. Each has to
// get its own response.
func (s *server) followUp(n int) error {
	for n > 0 {
		some := (n + 1) / 2
		n -= some
		if err := s.follow(some); err != nil {
			return err
		}
	}

	return nil
}

func (s *server) follow(n int) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	defer c.Close()

	return s.followOn(c, bufio.NewReader(c), n)
}

// followOn sends n requests, each with an id, on a connection.
func (s *server) followOn(c net.Conn, br *bufio.Reader, n int) error {
	var raw strings.Builder

	ids := make([]string, n)
	for i := range ids {
		ids[i] = s.nextID()
		raw.WriteString(request("GET " + idPrefix + ids[i] + " HTTP/1.1"))
	}

	if _, err := io.WriteString(c, raw.String()); err != nil {
		return err
	}

	for _, id := range ids {
		if a := readResponse(br, http.MethodGet); a.status != http.StatusOK || a.body != id || !a.whole {
			return fmt.Errorf("request %s got %v", id, a)
		}
	}

	return nil
}

// maxIdle is how many idle connections a test may leave.
const maxIdle = 20

// retire makes the server close its idle connections to the application.
func (s *server) retire() error {
	s.begin(nil)

	for try := 0; ; try++ {
		id := s.nextID()
		raw, err := s.exchange(false, request("GET "+idPrefix+"last/"+id+" HTTP/1.1", "Connection: close"))
		if err == nil && !strings.HasSuffix(raw, "\r\n\r\n"+id) {
			err = fmt.Errorf("request %s got %.200q", id, raw)
		}

		if err != nil {
			return err
		}

		if err := s.awaitEnd(s.latestConn()); err != nil {
			return err
		}

		if s.openConns() == 0 {
			return nil
		}

		if try == maxIdle {
			return errors.New("the server keeps too many connections")
		}
	}
}

// mend gets rid of connections that a row has spoilt.
func (s *server) mend() {
	s.hangUp()

	for range maxIdle {
		if s.retire() == nil {
			return
		}
	}
}

func (s *server) nextID() string { return fmt.Sprintf("r%d", s.ids.Add(1)) }
