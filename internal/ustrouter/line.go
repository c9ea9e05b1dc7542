package ustrouter

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// The limits of a line with its end, in bytes: of a transaction, and of the
// others.
const (
	maxLine      = 64 << 10
	maxShortLine = 1 << 10
)

const (
	protocolName    = "passenger-ustrouter"
	protocolVersion = 1
)

// maxDuration bounds durations, so that sums with times make sense.
const maxDuration = 10 * 365 * 24 * time.Hour

type hello struct {
	Protocol string `json:"protocol"`
	Version  int    `json:"version"`
}

type receipt struct {
	Received uint64 `json:"received"`
}

// encoder appends lines to its buffer.
type encoder struct {
	buf  bytes.Buffer
	json *json.Encoder
}

func newEncoder() *encoder {
	e := &encoder{}
	e.json = json.NewEncoder(&e.buf)
	e.json.SetEscapeHTML(false)

	return e
}

// transaction appends t, whose texts it cuts.
func (e *encoder) transaction(t *Transaction) error {
	t.cut()
	t.Time = t.Time.UTC()
	return e.json.Encode(t)
}

func encode(v any) ([]byte, error) {
	e := newEncoder()
	err := e.json.Encode(v)
	return e.buf.Bytes(), err
}

// lines reads lines that are not too long.
type lines struct{ in *bufio.Reader }

func newLines(r io.Reader, limit int) *lines { return &lines{bufio.NewReaderSize(r, limit)} }

// next returns a line without its end; it is valid until the next call. At the
// end of all, also of one without an end of its line, the error is io.EOF.
func (l *lines) next() ([]byte, error) {
	line, err := l.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("a line has more than %d bytes", l.in.Size())
	}

	if err != nil {
		return nil, err
	}

	return line[:len(line)-1], nil
}

// waiting reports whether there is more to read now.
func (l *lines) waiting() bool { return l.in.Buffered() > 0 }

func (l *lines) hello() error {
	line, err := l.next()
	if err != nil {
		return fmt.Errorf("the greeting cannot be read: %w", err)
	}

	var h hello
	if err := json.Unmarshal(line, &h); err != nil || h.Protocol != protocolName {
		return errors.New("the other side does not greet as a router or observer does")
	}

	if h.Version != protocolVersion {
		return fmt.Errorf("the other side speaks version %d of the protocol, this one %d: run the same version of both",
			h.Version, protocolVersion)
	}

	return nil
}

func (l *lines) receipt() (uint64, error) {
	line, err := l.next()
	if err != nil {
		return 0, err
	}

	var r receipt
	if err := json.Unmarshal(line, &r); err != nil {
		return 0, errors.New("the router responds with something else than a count")
	}

	return r.Received, nil
}

// decode returns the transaction in a line. What it does not know it ignores.
func decode(line []byte) (*Transaction, error) {
	t := &Transaction{}
	if err := json.Unmarshal(line, t); err != nil {
		return nil, fmt.Errorf("a line is no transaction: %w", err)
	}

	if !t.Kind.valid() {
		return nil, errors.New("a transaction is of an unknown kind")
	}

	t.Time = t.Time.UTC()
	if year := t.Time.Year(); year < 1970 || year > 2200 {
		return nil, errors.New("the time of a transaction is not in this age")
	}

	for _, d := range []time.Duration{t.Total, t.Queued, t.Checkout, t.FirstByte} {
		if d < 0 || d > maxDuration {
			return nil, errors.New("a duration of a transaction is negative or too long")
		}
	}

	t.cut()

	return t, nil
}
