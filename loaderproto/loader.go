package loaderproto

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Loader is the side of the application in the handshake. It is not safe for concurrent use.
type Loader struct {
	br *bufio.Reader
	w  io.Writer
}

// NewLoader returns a Loader that reads from r, the program's stdin, and writes to w, its stdout.
func NewLoader(r io.Reader, w io.Writer) *Loader {
	return &Loader{br: bufio.NewReader(r), w: w}
}

// Options are the keys and values of a request.
type Options map[string]string

// Features returns the features that the spawner offers.
func (o Options) Features() []string { return strings.Fields(o["features"]) }

// Handshake takes control and reads the request. Output that the program printed before does no
// harm, even without a newline.
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

		// As the original's loaders do, which take any number of blanks.
		opts[name] = strings.TrimLeft(value, " ")
	}
}

// Ready reports where the application listens. It returns an error for a value that the spawner
// would refuse.
func (l *Loader) Ready(r *Ready) error {
	if e := r.check(); e != nil {
		return e
	}

	var pairs []pair
	for _, s := range r.Sockets {
		v := fmt.Sprintf("%s;%s;%s;%d", s.Name, s.Address, s.Protocol, s.Concurrency)
		if _, e := parseSocket(v); e != nil {
			return e
		}

		pairs = append(pairs, pair{"socket", v})
	}

	if r.PID != 0 {
		pid := strconv.Itoa(r.PID)
		if _, ok := parsePID(pid); !ok {
			return fail(BadPID, ReadReady, pid)
		}

		pairs = append(pairs, pair{"pid", pid})
	}

	if len(r.Features) > 0 {
		pairs = append(pairs, pair{"features", strings.Join(r.Features, " ")})
	}

	return l.sendReady(pairs)
}

func (l *Loader) sendReady(pairs []pair) error {
	// The empty line keeps unfinished output of the application from
	// swallowing the first marker.
	b := []byte("\n" + marker + ready + "\n")
	for _, p := range pairs {
		if strings.ContainsAny(p.value, "\r\n\x00") {
			return fail(BadRequest, ReadReady, p.key+": "+p.value)
		}

		b = append(b, marker+p.key+": "+p.value+"\n"...)
	}

	if _, err := l.w.Write(append(b, marker+"\n"...)); err != nil {
		return writeFailure(err, ReadReady)
	}

	return nil
}

// Error reports why the application cannot start. The program must end or close its stdout
// afterwards, which ends the text.
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

// AwaitEnd blocks until the spawner closes its end, which asks the program to stop.
func (l *Loader) AwaitEnd() {
	// Whatever ends the stream, the owner is gone.
	_, _ = io.Copy(io.Discard, l.br)
}
