package hostile_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/sessionproto"
)

// seen is a request as the application has seen it.
type seen struct {
	// conn is the number of the connection that it came on.
	conn           int
	method, target string
	// header has the names as in HTTP, also for the session protocol, whose
	// other variables are in vars.
	header http.Header
	vars   sessionproto.Header
	body   string
	// whole reports whether the body came to its end.
	whole bool
	// fault is what a request must not have.
	fault error
}

func (s *seen) String() string { return s.method + " " + s.target }

// readRequest reads the head of a request. io.EOF: there is none.
func readRequest(br *bufio.Reader, protocol loaderproto.Protocol, password string) (*seen, error) {
	if protocol == loaderproto.Session {
		return readSessionRequest(br, password)
	}

	return readHTTPRequest(br)
}

func readSessionRequest(br *bufio.Reader, password string) (*seen, error) {
	vars, err := sessionproto.ReadHeader(br)
	if err != nil {
		return nil, err
	}

	s := &seen{
		method: vars["REQUEST_METHOD"],
		target: vars["REQUEST_URI"],
		header: http.Header{},
		vars:   sessionproto.Header{},
	}

	s.fault = vars.CheckPassword(password)
	for name, value := range vars {
		switch rest, isHeader := strings.CutPrefix(name, "HTTP_"); {
		case isHeader:
			s.header.Add(strings.ReplaceAll(rest, "_", "-"), value)
		case name == "CONTENT_TYPE" || name == "CONTENT_LENGTH":
			s.header.Add(strings.ReplaceAll(name, "_", "-"), value)
		default:
			s.vars[name] = value
		}
	}

	s.fault = errors.Join(s.fault, s.check(), s.checkVars(vars))

	return s, nil
}

// readHTTPRequest is stricter than a server of the net is: the request comes
// from ours.
func readHTTPRequest(br *bufio.Reader) (*seen, error) {
	line, err := readLine(br)
	if err != nil {
		return nil, err
	}

	s := &seen{header: http.Header{}}
	words := strings.Split(line, " ")
	if len(words) != 3 || words[2] != "HTTP/1.1" {
		return nil, fmt.Errorf("request line %q", line)
	}

	s.method, s.target = words[0], words[1]
	for {
		line, err := readLine(br)
		if err != nil {
			return nil, err
		}

		if line == "" {
			s.fault = errors.Join(s.fault, s.check(), s.checkFields())
			return s, nil
		}

		name, value, ok := strings.Cut(line, ": ")
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if !ok || canonical != name && !strings.HasPrefix(name, "Sec-WebSocket-") {
			s.fault = errors.Join(s.fault, fmt.Errorf("header line %q", line))
		}

		name = canonical
		s.header[name] = append(s.header[name], value)
	}
}

func readLine(br *bufio.Reader) (string, error) {
	line, err := br.ReadString('\n')
	if errors.Is(err, io.EOF) && line != "" {
		return "", io.ErrUnexpectedEOF
	}

	if err != nil {
		return "", err
	}

	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return "", fmt.Errorf("line %q", line)
	}

	return text, nil
}

// readBody reads the body; it is whole if there is no error.
func (s *seen) readBody(br *bufio.Reader) (body string, err error) {
	var b strings.Builder
	if lengths := s.header["Content-Length"]; len(lengths) > 0 {
		n, err := strconv.ParseInt(lengths[0], 10, 64)
		if err != nil {
			return "", err
		}

		_, err = io.CopyN(&b, br, n)

		return b.String(), err
	}

	if len(s.header["Transfer-Encoding"]) == 0 {
		return "", nil
	}

	if _, err := io.Copy(&b, httputil.NewChunkedReader(br)); err != nil {
		return b.String(), err
	}

	if end, err := readLine(br); err != nil || end != "" {
		return b.String(), fmt.Errorf("a trailer %q: %w", end, err)
	}

	return b.String(), nil
}
