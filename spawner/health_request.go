package spawner

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gopassenger/passenger/fcgiproto"
	"github.com/gopassenger/passenger/internal/urlpath"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/sessionproto"
)

const (
	// maxReply bounds what is read of a response. What is longer is cut off,
	// which ends it for the application, too.
	maxReply = 1 << 20
	// maxInterim is how many responses of status 1xx may come before the one.
	maxInterim = 16
	// excerptSize is how much of a body is looked at for an error's text.
	excerptSize = 4 << 10

	healthAgent = "gopassenger-health/"
	ownAddress  = "127.0.0.1"
)

// ownRequest is a request of the server itself, which a health check or a
// warm-up makes: a GET that came by HTTPS, or else many applications would only
// redirect it there.
type ownRequest struct {
	uri, host, baseURI string
	agent              string
}

// reply is the response of an application to an ownRequest.
type reply struct {
	status   int
	location string
	excerpt  string
}

// send makes the request on a connection of its own, which is closed in the
// end: a process that serves one connection at a time is free again. ctx bounds
// it. If err is not nil, the reply has what was received until then.
func (r *ownRequest) send(ctx context.Context, info *Info) (reply, error) {
	socket := &info.Sockets[0]
	conn, err := socket.Dial(ctx)
	if err != nil {
		return reply{}, err
	}

	defer func() { _ = conn.Close() }()

	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	head := r.http(socket.NamesClient)
	in := io.Reader(conn)

	switch socket.Protocol {
	case HTTPProtocol, loaderproto.HTTP:
	case SessionProtocol:
		head, err = r.session(info.ConnectPassword)
	case FastCGIProtocol:
		var response fcgiproto.Reader
		response.Reset(conn, socket.Log)

		// The head is that of CGI, which has a field for the status, and no status line.
		in = io.MultiReader(strings.NewReader("HTTP/1.1 200 OK\r\n"), &response)
		head, err = r.fastCGI(info.Scripts)
	}

	if err != nil {
		return reply{}, err
	}

	// An application may respond and close before it has read everything.
	_, writeErr := conn.Write(head)

	got, err := readReply(in, socket.Protocol == FastCGIProtocol)
	if got.status == 0 && writeErr != nil {
		err = writeErr
	}

	return got, err
}

// http is the request as HTTP/1.1, with the client if the process takes it so.
func (r *ownRequest) http(namesClient bool) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\n", r.uri)

	for _, field := range [][2]string{
		{"Host", r.host},
		{"User-Agent", r.agent},
		{"Accept", "*/*"},
		{"X-Forwarded-For", ownAddress},
		{"X-Forwarded-Proto", "https"},
		{"Connection", "close"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", field[0], field[1])
	}

	if namesClient {
		fmt.Fprintf(&b, "!~Passenger-Client: %s 0\r\n", ownAddress)
	}

	b.WriteString("\r\n")

	return b.Bytes()
}

// session is the request as a header block of the session protocol.
func (r *ownRequest) session(password string) ([]byte, error) {
	script, below, err := r.place()
	if err != nil {
		return nil, err
	}

	var e sessionproto.Encoder
	e.Add("PATH_INFO", below)
	e.Add("SCRIPT_NAME", script)
	e.Add("PASSENGER_CONNECT_PASSWORD", password)
	r.describe(e.Add)

	return e.Bytes()
}

// fastCGI is the request as one of FastCGI.
func (r *ownRequest) fastCGI(scripts *Scripts) ([]byte, error) {
	base, below, err := r.place()
	if err != nil {
		return nil, err
	}

	var e fcgiproto.Encoder
	e.Begin(false)
	r.describe(e.Add)
	e.Add("GATEWAY_INTERFACE", "CGI/1.1")
	// php-cgi refuses requests without it (cgi.force_redirect).
	e.Add("REDIRECT_STATUS", "200")

	if scripts == nil {
		e.Add("PATH_INFO", below)
		e.Add("SCRIPT_NAME", base)
	} else {
		plain, err := url.PathUnescape(below)
		if err != nil {
			return nil, err
		}

		script, err := scripts.Find(plain)
		if err != nil {
			return nil, fmt.Errorf("%w: %s", err, plain)
		}

		e.Add("DOCUMENT_ROOT", scripts.Directory())
		e.Add("SCRIPT_FILENAME", script.Filename)
		e.Add("SCRIPT_NAME", base+script.Name)
		e.Add("PATH_INFO", script.PathInfo)
	}

	e.EndParams()
	e.EndStdin()

	return e.Bytes()
}

// place takes the path apart: the base URI, and what is below it.
func (r *ownRequest) place() (script, below string, err error) {
	path, _, _ := strings.Cut(r.uri, "?")
	base, err := urlpath.Parse(r.baseURI)
	if err != nil {
		return "", "", err
	}

	script = string(base)
	var ok bool
	if below, ok = base.Cut(path); !ok {
		script, below = "", path
	}

	if below == "" {
		below = "/"
	}

	return script, below, nil
}

// describe gives the variables that both protocols have.
func (r *ownRequest) describe(add func(name, value string)) {
	_, query, _ := strings.Cut(r.uri, "?")

	name, port, err := net.SplitHostPort(r.host)
	if err != nil {
		// That of HTTPS, by which the request claims to come.
		name, port = strings.Trim(r.host, "[]"), "443"
	}

	for _, pair := range [][2]string{
		{"REQUEST_URI", r.uri},
		{"QUERY_STRING", query},
		{"REQUEST_METHOD", http.MethodGet},
		{"SERVER_NAME", name},
		{"SERVER_PORT", port},
		{"SERVER_SOFTWARE", r.agent},
		{"SERVER_PROTOCOL", "HTTP/1.1"},
		{"REMOTE_ADDR", ownAddress},
		{"REMOTE_PORT", "0"},
		{"HTTPS", "on"},
		{"HTTP_HOST", r.host},
		{"HTTP_USER_AGENT", r.agent},
		{"HTTP_ACCEPT", "*/*"},
		{"HTTP_X_FORWARDED_FOR", ownAddress},
		{"HTTP_X_FORWARDED_PROTO", "https"},
	} {
		add(pair[0], pair[1])
	}
}

// readReply reads the response, which has the form of HTTP in both protocols,
// up to its end: only then the process has done its work. isCGI means that a field
// has the status.
func readReply(conn io.Reader, isCGI bool) (reply, error) {
	limited := &io.LimitedReader{R: conn, N: maxReply}
	in := bufio.NewReader(limited)

	resp, err := readFinalHead(in)
	if err != nil {
		return reply{}, err
	}

	defer func() { _ = resp.Body.Close() }()
	got := reply{status: resp.StatusCode, location: resp.Header.Get("Location")}
	// RFC 3875, 6.3.3: a response without the field has the status 200.
	if status, _, _ := strings.Cut(resp.Header.Get("Status"), " "); isCGI && status != "" {
		got.status = parseStatus(status)
	}

	start, err := io.ReadAll(io.LimitReader(resp.Body, excerptSize))
	got.excerpt = excerpt(start, resp.Header.Get("Content-Type"))
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	}

	if limited.N == 0 {
		err = nil // the response is too long for us, not wrong
	}

	return got, err
}

// readFinalHead skips responses of status 1xx.
func readFinalHead(in *bufio.Reader) (*http.Response, error) {
	for range maxInterim {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return nil, err
		}

		if resp.StatusCode >= lowestStatus {
			return resp, nil
		}

		_ = resp.Body.Close() // such a response has none
		// Nothing of HTTP follows a 101, which no request of ours asks for.
		if resp.StatusCode == http.StatusSwitchingProtocols {
			break
		}
	}

	return nil, errors.New("there was no final response")
}

var (
	htmlUnseen = lazy(`(?is)<(?:style|script)\b.*?(?:</(?:style|script)>|$)`)
	htmlTag    = lazy(`(?s)<[^>]*>?`)
)

// excerpt is the beginning of a body as one line of text.
func excerpt(body []byte, contentType string) string {
	text := strings.ToValidUTF8(string(body), "\uFFFD")
	if strings.Contains(contentType, "html") {
		text = html.UnescapeString(htmlTag().ReplaceAllString(htmlUnseen().ReplaceAllString(text, " "), " "))
	}

	text = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}

		return c
	}, text)

	return shorten(strings.Join(strings.Fields(text), " "))
}

// statusText is the status with its name.
func statusText(status int) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}
