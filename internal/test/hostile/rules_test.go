package hostile_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/gopassenger/passenger/sessionproto"
)

// never are headers that no application sees of a client that is no proxy.
var never = []string{
	"Expect", "Forwarded", "Http2-Settings", "Keep-Alive", "Proxy", "Proxy-Authenticate", "Proxy-Authorization",
	"Proxy-Connection", "Te", "Trailer", "X-Accel-Mapping", "X-Forwarded-Host", "X-Forwarded-Prefix",
	"X-Forwarded-Scheme", "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Original-Url", "X-Real-Ip",
	"X-Rewrite-Url", "X-Sendfile-Type",
}

var (
	plainName    = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	digits       = regexp.MustCompile(`^[0-9]{1,19}$`)
	hostRule     = regexp.MustCompile(`^([A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?$`)
	variableName = regexp.MustCompile(`^[A-Z0-9_]+$`)
	// marks are what each request has once.
	marks = []string{"X-Request-Id", "X-Request-Start"}
	// variables that each request of the session protocol has.
	variables = []string{
		"PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "REMOTE_PORT", "REQUEST_METHOD", "REQUEST_URI", "SCRIPT_NAME",
		"SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "SERVER_SOFTWARE",
	}
)

// check says what must not be in any request.
func (s *seen) check() error {
	var errs []error

	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for name, values := range s.header {
		if !plainName.MatchString(name) {
			fault("the name %q", name)
		}

		if slices.Contains(never, name) {
			fault("the header %s", name)
		}

		for _, v := range values {
			if strings.ContainsFunc(v, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
				fault("the value %q of %s", v, name)
			}
		}
	}

	if strings.ContainsFunc(s.target, func(c rune) bool { return c <= ' ' || c == 0x7f }) ||
		!strings.HasPrefix(s.target, "/") {
		fault("the target %q", s.target)
	}

	for _, name := range marks {
		if len(s.header[name]) != 1 {
			fault("%s is %q", name, s.header[name])
		}
	}

	if lengths := s.header["Content-Length"]; len(lengths) > 1 || len(lengths) == 1 && !digits.MatchString(lengths[0]) {
		fault("the length %q", lengths)
	}

	if hosts := s.header["Host"]; len(hosts) > 1 || len(hosts) == 1 && !hostRule.MatchString(hosts[0]) {
		fault("Host %q", hosts)
	}

	for name, value := range map[string]string{"Connection": "upgrade", "Upgrade": "websocket"} {
		if v := s.header[name]; v != nil && !slices.Equal(v, []string{value}) {
			fault("%s %q", name, v)
		}
	}

	return errors.Join(errs...)
}

// checkFields is for requests by HTTP.
func (s *seen) checkFields() error {
	var errs []error
	for name, values := range map[string][]string{
		"X-Forwarded-For":   {"127.0.0.1"},
		"X-Forwarded-Proto": {"http", "https"},
	} {
		if got := s.header[name]; len(got) != 1 || !slices.Contains(values, got[0]) {
			errs = append(errs, fmt.Errorf("%s is %q", name, got))
		}
	}

	if len(s.header["Host"]) != 1 {
		errs = append(errs, errors.New("no Host"))
	}

	if want, got := s.port(), s.header["X-Forwarded-Port"]; !slices.Equal(got, []string{want}) {
		errs = append(errs, fmt.Errorf("X-Forwarded-Port is %q, and not %s", got, want))
	}

	switch codings := s.header["Transfer-Encoding"]; {
	case codings == nil:
	case !slices.Equal(codings, []string{"chunked"}) || s.header["Content-Length"] != nil:
		errs = append(errs, fmt.Errorf("the coding %q and the length %q", codings, s.header["Content-Length"]))
	}

	return errors.Join(errs...)
}

// port is the one that the request is for: that of Host, or the usual one of its scheme.
func (s *seen) port() string {
	_, port, err := net.SplitHostPort(strings.Join(s.header["Host"], ""))
	switch {
	case err == nil && port != "":
		return port
	case slices.Equal(s.header["X-Forwarded-Proto"], []string{"https"}):
		return "443"
	}

	return "80"
}

// checkVars is for requests by the session protocol.
func (s *seen) checkVars(vars sessionproto.Header) error {
	var errs []error
	for name := range vars {
		if !variableName.MatchString(name) {
			errs = append(errs, fmt.Errorf("the variable %q", name))
		}
	}

	for _, name := range variables {
		if _, ok := vars[name]; !ok {
			errs = append(errs, fmt.Errorf("no variable %s", name))
		}
	}

	for _, name := range []string{
		"HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE", "HTTP_TRANSFER_ENCODING",
		"HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PORT", "HTTP_X_FORWARDED_PROTO",
	} {
		if _, ok := vars[name]; ok {
			errs = append(errs, fmt.Errorf("the variable %s", name))
		}
	}

	path, query, _ := strings.Cut(s.target, "?")
	whole := vars["SCRIPT_NAME"] + strings.TrimSuffix(vars["PATH_INFO"], "/")
	if path = strings.TrimSuffix(path, "/"); vars["SCRIPT_NAME"] != "" &&
		!strings.HasPrefix(path, vars["SCRIPT_NAME"]) {
		// The base URI is written in one way, however the client has.
		below := strings.TrimSuffix(vars["PATH_INFO"], "/")
		base, cut := strings.CutSuffix(path, below)
		decoded, err := url.PathUnescape(base)
		if cut && err == nil && decoded == vars["SCRIPT_NAME"] {
			path = whole
		}
	}

	if vars["REMOTE_ADDR"] != "127.0.0.1" || whole != path || vars["QUERY_STRING"] != query {
		errs = append(errs, fmt.Errorf("the variables %q", vars))
	}

	return errors.Join(errs...)
}
