package handler

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gopassenger/passenger/fcgiproto"
	"github.com/gopassenger/passenger/internal/httpfield"
	"github.com/gopassenger/passenger/spawner"
)

// fastCGI is what an upstream has for that protocol: the response is a stream within records, whose end is that of the
// request.
type fastCGI struct {
	encoder fcgiproto.Encoder
	// reader is nil before the first use.
	reader *fcgiproto.Reader
	// documentRoot is empty where the application is not one of PHP.
	documentRoot string
	script       spawner.Script
}

// reset keeps the memory.
func (f *fastCGI) reset() {
	if f.reader != nil {
		f.reader.Reset(nil, nil)
	}

	f.documentRoot, f.script = "", spawner.Script{}
}

// open returns what reads the response.
func (f *fastCGI) open(u *upstream) io.Reader {
	if f.reader == nil {
		f.reader = &fcgiproto.Reader{}
	}

	f.reader.Reset(u.conn, u.session.Log)

	return f.reader
}

func (u *upstream) speaksFastCGI() bool { return u.session.Protocol() == spawner.FastCGIProtocol }

// hasEnded reports whether nothing of the response is left to be read, and that is known without waiting.
func (u *upstream) hasEnded() bool {
	return u.speaksFastCGI() && u.fastCGI.reader.Ended() && u.reader.Buffered() == 0
}

// maxExcess bounds what is read of a body where there must be none, as behind the head of a response to HEAD.
const maxExcess = 64 << 10

// endsFastCGI waits for a moment for the end of the request, and reports whether the connection can have another one.
func (u *upstream) endsFastCGI() bool {
	f := u.fastCGI.reader
	if f.IsReusable() && u.reader.Buffered() == 0 {
		return true
	}

	if u.response.length > 0 && u.reader.Buffered() > 0 {
		return false // more than its Content-Length
	}

	_ = u.conn.SetReadDeadline(time.Now().Add(lastBytesTime))

	_, err := io.CopyN(io.Discard, u.reader, maxExcess)
	if !errors.Is(err, io.EOF) || !f.IsReusable() {
		return false
	}

	return u.conn.SetReadDeadline(time.Time{}) == nil
}

// abortTime is how long the record that aborts a request may take to be written.
const abortTime = 10 * time.Millisecond

// abortFastCGI tells an application that looks for it that no response is wanted any more. One that does not look, as
// PHP, sees the end of the connection.
func (u *upstream) abortFastCGI() {
	// After a repetition that found no process, there is no connection.
	if u.conn == nil || u.fastCGI.reader == nil || u.fastCGI.reader.Ended() {
		return
	}

	// The watch over the client may have interrupted it.
	_ = u.conn.SetWriteDeadline(time.Now().Add(abortTime))
	_, _ = u.conn.Write(fcgiproto.Abort())
}

// readCGIHead reads the head of a response as CGI has it, RFC 3875 section 6: a field has the status, and there is no
// line in front.
func (u *upstream) readCGIHead(maxSize int) error {
	// A script may send no field at all.
	if start, _ := u.reader.Peek(2); string(start) == "\r\n" {
		_, _ = u.reader.Discard(2)
		return u.response.parseCGI("")
	}

	head, err := u.readHeadText(maxSize)
	if err != nil {
		return err
	}

	return u.response.parseCGI(head)
}

// parseCGI reads the fields of a response. A Location without a status redirects the client, also if it is a path: the
// script there is not executed in place of this one.
func (r *response) parseCGI(head string) error {
	r.status, r.http10 = http.StatusOK, false
	if err := r.parseFields(head); err != nil {
		return err
	}

	// The length of the response and the connection are not the script's, RFC 3875 section 6.3.4.
	delete(r.header, "Transfer-Encoding")

	statuses := r.header["Status"]
	switch {
	case len(statuses) > 1:
		return malformed("two statuses")
	case len(statuses) == 0:
		if _, redirects := r.header["Location"]; redirects {
			r.status = http.StatusFound
		}

		return nil
	}

	code, reason, _ := strings.Cut(statuses[0], " ")

	status, err := strconv.Atoi(code)
	if err != nil || len(code) != 3 || status < 200 || !httpfield.ValidValue(reason) {
		return fmt.Errorf("%w: status %.40q", errBadResponse, statuses[0])
	}

	r.status = status

	return nil
}
