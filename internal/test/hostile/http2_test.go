package hostile_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// spoken is a request as other protocols than HTTP/1 say it.
type spoken struct {
	method, target, host string
	fields               [][2]string // by the names as they are in the row
	body                 string
}

// maxSpoken bounds a request by HTTP/2: the window for bodies is 64 KB at first.
const maxSpoken = 60 << 10

// otherwise takes a row apart for another protocol. why says why it cannot be said there:
// it is about the form of HTTP/1, or more than one request.
func (row *requestRow) otherwise() (r *spoken, why string) {
	head, body, complete := strings.Cut(row.raw, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")

	first, last := strings.IndexByte(lines[0], ' '), strings.LastIndexByte(lines[0], ' ')
	switch {
	case row.want.half, row.want.frames:
		return nil, "the client leaves"
	case len(row.raw) > maxSpoken:
		return nil, "it is larger than the window"
	case !complete || first < 0 || first == last || lines[0][last+1:] != "HTTP/1.1":
		return nil, "it is about the first line or the end of a head of HTTP/1.1"
	case strings.Contains(row.name, "D17"):
		return nil, "Expect is for HTTP/1"
	}

	r = &spoken{method: lines[0][:first], target: lines[0][first+1 : last]}

	hosts, length, coded := 0, -1, false
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || name[0] == ' ' || name[0] == '\t' {
			return nil, "it is about the form of a line"
		}

		value = strings.Trim(value, " \t")
		switch lowerASCII(name) {
		case "host":
			hosts++
			r.host = value
			continue
		case "content-length":
			if n, err := strconv.Atoi(value); err == nil && n >= 0 && n <= len(body) {
				length = n
			}
		case "transfer-encoding":
			coded = true
		}

		r.fields = append(r.fields, [2]string{name, value})
	}

	if hosts != 1 {
		return nil, "it is about the number of Hosts"
	}

	if coded && body != "" || length < 0 && body != "" {
		return nil, "it is about what follows a head of HTTP/1"
	}

	r.body = body[:max(length, 0)]

	return r, ""
}

// lowerASCII leaves what only looks like a capital letter.
func lowerASCII(name string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}

		return c
	}, name)
}

// ofConnections are fields that HTTP/2 does not have, RFC 9113 section 8.2.2.
var ofConnections = []string{
	"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "te",
	"http2-settings",
}

// mayBeRefused reports whether HTTP/2 refuses the request although HTTP/1 does not.
func (r *spoken) mayBeRefused() bool {
	return !strings.HasPrefix(r.target, "/") || slices.ContainsFunc(r.fields, func(f [2]string) bool {
		return slices.Contains(ofConnections, lowerASCII(f[0]))
	})
}

// exchange2 says a request by HTTP/2 on a connection of its own. status is 0 where the
// server ends the stream or the connection.
func (s *server) exchange2(fields []hpack.HeaderField, body string) (status int, err error) {
	c, err := s.dialFor(http2.NextProtoTLS)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		return 0, err
	}

	framer := http2.NewFramer(c, c)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_ = writeStream(framer, fields, body) // the server may end the connection meanwhile
	}()
	defer func() {
		_ = c.Close()
		<-sent
	}()

	for {
		frame, err := framer.ReadFrame()
		switch {
		case isCut(err):
			return status, nil
		case err != nil:
			return status, err
		}

		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			if text := f.PseudoValue("status"); text != "100" {
				status, err = strconv.Atoi(text)
			}

			if err != nil || f.StreamEnded() {
				return status, err
			}
		case *http2.DataFrame:
			if f.StreamEnded() {
				return status, nil
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return status, nil
		}
	}
}

func writeStream(framer *http2.Framer, fields []hpack.HeaderField, body string) error {
	const size = 16 << 10
	var block bytes.Buffer

	encoder := hpack.NewEncoder(&block)
	for _, f := range fields {
		if err := encoder.WriteField(f); err != nil {
			return err
		}
	}

	framer.AllowIllegalWrites = true
	err := framer.WriteSettings()
	piece := block.Next(size)

	err = errors.Join(err, framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID:      1,
		BlockFragment: piece,
		EndStream:     body == "",
		EndHeaders:    block.Len() == 0,
	}))
	for block.Len() > 0 {
		piece := block.Next(size)
		err = errors.Join(err, framer.WriteContinuation(1, block.Len() == 0, piece))
	}

	for body != "" {
		n := min(len(body), size)
		err = errors.Join(err, framer.WriteData(1, n == len(body), []byte(body[:n])))
		body = body[n:]
	}

	return err
}

// frames are the fields of a request by HTTP/2.
func (r *spoken) frames(scheme string) []hpack.HeaderField {
	fields := make([]hpack.HeaderField, 0, 4+len(r.fields))

	fields = append(fields,
		hpack.HeaderField{Name: ":method", Value: r.method},
		hpack.HeaderField{Name: ":scheme", Value: scheme},
		hpack.HeaderField{Name: ":authority", Value: r.host},
		hpack.HeaderField{Name: ":path", Value: r.target},
	)
	for _, f := range r.fields {
		fields = append(fields, hpack.HeaderField{Name: lowerASCII(f[0]), Value: f[1]})
	}

	return fields
}

// judgeSpoken says what is not as it should be of a request by another protocol, to which
// the response had this status.
func (row *requestRow) judgeSpoken(r *spoken, status int, requests []*seen) error {
	want := row.want
	wasSeen := slices.ContainsFunc(requests, func(r *seen) bool { return r.whole })
	want.cut = want.cut || !wasSeen
	if len(want.seen) == 0 {
		want.optional = false
	}

	if !wasSeen {
		refusal := status == 0 || status >= 400 || strings.Contains(want.codes, strconv.Itoa(status))
		if !refusal {
			return fmt.Errorf("the application has seen nothing, and the status is %d", status)
		}

		want.optional = want.optional || r.mayBeRefused()
	} else if status != http.StatusOK {
		return fmt.Errorf("the status is %d", status)
	}

	return want.checkSeen(requests)
}

// play2 runs the row by HTTP/2.
func (row *requestRow) play2(s *server, r *spoken) error {
	var sc *script
	if row.want.script != nil {
		sc = row.want.script()
	}

	s.begin(sc)
	status, err := s.exchange2(r.frames(s.scheme()), r.body)
	requests, faults := s.requests()
	err = errors.Join(err, faults, row.judgeSpoken(r, status, requests))
	if followErr := s.followUp(1); followErr != nil {
		err = errors.Join(err, fmt.Errorf("afterwards: %w", followErr))
	}

	if err != nil {
		return fmt.Errorf("%w\nstatus %d, requests %.1000s", err, status, fmt.Sprint(requests))
	}

	return nil
}

// inHTTP2 runs a test against servers that speak it, in the clear and with TLS.
func inHTTP2(t *testing.T, test func(t *testing.T, s *server)) {
	t.Helper()

	for _, v := range []*variant{byHTTP, bySession} {
		for _, secure := range []bool{false, true} {
			v := *v
			v.name += map[bool]string{false: ", HTTP2 in the clear", true: ", HTTP2 with TLS"}[secure]
			v.secure, v.args = secure, append(slices.Clone(v.args), "--http2-cleartext")
			t.Run(v.name, func(t *testing.T) { test(t, start(t, &v)) })
		}
	}
}

func TestRequestsByHTTP2(t *testing.T) {
	inHTTP2(t, func(t *testing.T, s *server) {
		said, unsaid := 0, map[string]int{}
		for _, row := range requestRows() {
			r, why := row.otherwise()
			if why != "" {
				unsaid[why]++
				continue
			}

			said++
			t.Run(row.name, func(t *testing.T) { require.NoError(t, row.play2(s, r)) })
		}

		require.Greater(t, said, 200)
		t.Logf("%d rows by HTTP/2, and those that cannot be said there: %v", said, unsaid)
	})
}

// TestHTTP2Only is what only HTTP/2 can say: its pseudo fields take any bytes.
func TestHTTP2Only(t *testing.T) {
	plain := spoken{method: "GET", target: "/", host: "x"}
	change := func(change func(fields []hpack.HeaderField) []hpack.HeaderField) []hpack.HeaderField {
		return change(plain.frames(""))
	}
	with := func(name, value string) []hpack.HeaderField {
		return change(func(fields []hpack.HeaderField) []hpack.HeaderField {
			for i := range fields {
				if fields[i].Name == name {
					fields[i].Value = value
				}
			}

			return fields
		})
	}
	behind := func(name, value string) []hpack.HeaderField {
		return append(plain.frames(""), hpack.HeaderField{Name: name, Value: value})
	}
	refusals := map[string][]hpack.HeaderField{
		"a request line as the method": with(":method", "GET /admin HTTP/1.1"),
		"a request as the method":      with(":method", "GET /admin HTTP/1.1\r\nHost: x\r\n\r\nGET"),
		"a space in the method":        with(":method", "GET "),
		"a line end in the method":     with(":method", "GET\r\n"),
		"a NUL in the method":          with(":method", "GET\x00"),
		"a tab in the method":          with(":method", "GET\t/"),
		"a method of 33 bytes":         with(":method", strings.Repeat("M", 33)),
		"a method of 5,000 bytes":      with(":method", strings.Repeat("M", 5000)),
		"a method beyond ASCII":        with(":method", "G\u00cbT"),
		"an empty method":              with(":method", ""),
		"two methods": append([]hpack.HeaderField{{
			Name:  ":method",
			Value: "PUT",
		}}, plain.frames("")...),
		"another scheme":                      with(":scheme", "ftp"),
		"an empty scheme":                     with(":scheme", "-"),
		"a scheme and a line end":             with(":scheme", "http\r\n"),
		"a space in the path":                 with(":path", "/ HTTP/1.1"),
		"a request in the path":               with(":path", "/ HTTP/1.1\r\nHost: x\r\n\r\nGET /admin"),
		"a NUL in the path":                   with(":path", "/\x00"),
		"DEL in the path":                     with(":path", "/\x7f"),
		"a fragment":                          with(":path", "/a#b"),
		"a fragment in the query":             with(":path", "/a?b#c"),
		"a path without a slash":              with(":path", "admin"),
		"a URL as the path":                   with(":path", "http://x/admin"),
		"an asterisk":                         with(":path", "*"),
		"an empty path":                       with(":path", ""),
		"a user in the authority":             with(":authority", "a@x"),
		"a path in the authority":             with(":authority", "x/admin"),
		"a line end in the authority":         with(":authority", "x\r\nX-A: b"),
		"a space in the authority":            with(":authority", "x y"),
		"two ports":                           with(":authority", "x:80:80"),
		"bytes beyond ASCII in the authority": with(":authority", "\u00e4"),
		"a length that is none":               behind("content-length", "+0"),
		"two lengths": append(behind("content-length", "0"), hpack.HeaderField{
			Name:  "content-length",
			Value: "0",
		}),
		"two types": append(behind("content-type", "a/b"), hpack.HeaderField{
			Name:  "content-type",
			Value: "a/b",
		}),
		"a coding":                    behind("transfer-encoding", "chunked"),
		"Connection":                  behind("connection", "x-a"),
		"Upgrade":                     behind("upgrade", "websocket"),
		"a name in capitals":          behind("X-A", "b"),
		"a name with a colon":         behind("x:a", "b"),
		"a pseudo field that is none": behind(":admin", "b"),
		"a line end in a value":       behind("x-a", "b\r\nx-c: d"),
		"a NUL in a value":            behind("x-a", "b\x00"),
		"0xa0 behind a value":         behind("x-a", "b\xa0"),
		"0x85 in front of a value":    behind("x-a", "\x85b"),
		"own header":                  behind("!~passenger-envvars", "b"),
	}
	inHTTP2(t, func(t *testing.T, s *server) {
		for name, fields := range refusals {
			t.Run(name, func(t *testing.T) {
				for i := range fields {
					if fields[i].Name == ":scheme" && fields[i].Value == "" {
						fields[i].Value = s.scheme()
					}
				}

				s.begin(nil)
				status, err := s.exchange2(fields, "")
				require.NoError(t, err)
				require.True(t, status == 0 || status == 400 || status == 501 || status == 431, "the status is %d",
					status)
				requests, faults := s.requests()
				require.NoError(t, faults)
				require.Empty(t, requests)
				require.NoError(t, s.followUp(1))
			})
		}
	})
}

func (s *server) scheme() string {
	if s.tls != nil {
		return "https"
	}

	return "http"
}

// clientTLS is for a server whose certificate is one of the tests'.
func clientTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
}
