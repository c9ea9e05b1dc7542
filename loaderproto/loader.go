package loaderproto

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Loader is the application's side of the handshake. It is not safe for
// concurrent use.
type Loader struct {
	br *bufio.Reader
	w  io.Writer
}

// NewLoader returns a Loader that reads from r, the program's stdin, and
// writes to w, its stdout.
func NewLoader(r io.Reader, w io.Writer) *Loader {
	return &Loader{br: bufio.NewReader(r), w: w}
}

// Options are the keys and values of a request.
type Options map[string]string

// Features returns what the spawner offers.
func (o Options) Features() []string { return strings.Fields(o["features"]) }

// Handshake takes control and reads the request. What the program has printed
// before, even without a newline, does no harm.
func (l *Loader) Handshake() (Options, error) {
	if _, err := fmt.Fprintf(l.w, "\n%s%s%s\n", marker, iHaveControl, Version); err != nil {
		return nil, writeFailure(err, AwaitHandshake)
	}
	line, err := plainLine(l.br)
	if err != nil {
		return nil, firstLineFailure(err, AwaitHandshake, line)
	}
	if line != youHaveControl+Version {
		return nil, fail(UnexpectedLine, AwaitHandshake, line)
	}
	return readOptions(l.br)
}

func readOptions(br *bufio.Reader) (Options, error) {
	opts := Options{}
	for n := 0; ; n++ {
		line, err := plainLine(br)
		if err != nil {
			return nil, readFailure(err, TruncatedBlock, SendRequest, line)
		}
		if line == "" {
			return opts, nil
		}
		if n == MaxHeaderLines {
			return nil, fail(BlockTooLong, SendRequest, line)
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" {
			return nil, fail(MalformedLine, SendRequest, line)
		}
		opts[name] = strings.TrimLeft(value, " ")
	}
}

// Ready tells the spawner where the application listens.
func (l *Loader) Ready(r *Ready) error {
	b, e := encodeReady(r)
	if e != nil {
		return e
	}
	if _, err := l.w.Write(b); err != nil {
		return writeFailure(err, ReadReady)
	}
	return nil
}

func encodeReady(r *Ready) ([]byte, *Error) {
	// The empty line keeps unfinished output of the application from
	// swallowing the first marker.
	b := []byte("\n" + marker + ready + "\n")
	add := func(name, value string) *Error {
		if strings.ContainsAny(value, "\r\n\x00") {
			return fail(BadRequest, ReadReady, name+": "+value)
		}
		b = append(b, marker+name+": "+value+"\n"...)
		return nil
	}
	for _, s := range r.Sockets {
		v := fmt.Sprintf("%s;%s;%s;%d", s.Name, s.Address, s.Protocol, s.Concurrency)
		if _, e := parseSocket(v); e != nil {
			return nil, e
		}
		if e := add("socket", v); e != nil {
			return nil, e
		}
	}
	if r.PID != 0 {
		pid := strconv.Itoa(r.PID)
		if _, ok := parsePID(pid); !ok {
			return nil, fail(BadPID, ReadReady, pid)
		}
		if e := add("pid", pid); e != nil {
			return nil, e
		}
	}
	if len(r.Features) > 0 {
		if e := add("features", strings.Join(r.Features, " ")); e != nil {
			return nil, e
		}
	}
	return append(b, marker+"\n"...), nil
}

// Error tells the spawner why the application cannot start. The program must
// end, or close its stdout, afterwards: the text goes up to there.
func (l *Loader) Error(m Message) error {
	b := "\n" + marker + errorMessage + "\n"
	if m.HTML {
		b += marker + "html: true\n"
	}
	b += marker + "\n" + m.Text
	if _, err := io.WriteString(l.w, b); err != nil {
		return writeFailure(err, ReadErrorText)
	}
	return nil
}

// AwaitEnd blocks until the spawner closes its end, which is how it asks the
// program to stop.
func (l *Loader) AwaitEnd() {
	// Whatever ends the stream, the owner is gone.
	_, _ = io.Copy(io.Discard, l.br)
}
