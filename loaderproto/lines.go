package loaderproto

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"syscall"
)

var errTooLong = errors.New("line too long")

// ended reports whether the peer closed its end. A Unix socket reports that as a reset if the peer
// left something unread, as a program does that fails before it reads its request. What the peer
// wrote arrives first in either case.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
}

// markedLines reads the lines that begin with the marker, and passes everything else to noise, in
// pieces that end with a newline or are noiseChunk long.
type markedLines struct {
	br    *bufio.Reader
	noise func([]byte)
}

func newMarkedLines(r io.Reader, noise func([]byte)) *markedLines {
	if noise == nil {
		noise = func([]byte) {}
	}

	return &markedLines{br: bufio.NewReaderSize(r, noiseChunk), noise: noise}
}

// next returns the next marked line without marker and newline. At the end of the stream, it
// returns what came of an unfinished line, including the marker.
func (m *markedLines) next() (string, error) {
	for {
		piece, err := m.br.ReadSlice('\n')
		if !bytes.HasPrefix(piece, []byte(marker)) {
			if err := m.skip(piece, err); err != nil {
				return "", err
			}

			continue
		}

		// A copy: the next read overwrites piece.
		line := append([]byte(nil), piece...)
		for errors.Is(err, bufio.ErrBufferFull) {
			if len(line) > MaxLine+len(marker) {
				return string(line[len(marker):]), errTooLong
			}

			piece, err = m.br.ReadSlice('\n')
			line = append(line, piece...)
		}

		if err != nil {
			return string(line), err
		}

		line = line[len(marker) : len(line)-1]
		if len(line) > MaxLine {
			return string(line), errTooLong
		}

		return string(line), nil
	}
}

// skip passes a line that is not part of the protocol to noise. piece is its beginning, and err the
// error after piece.
func (m *markedLines) skip(piece []byte, err error) error {
	for {
		if len(piece) > 0 {
			m.noise(piece)
		}

		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}

		piece, err = m.br.ReadSlice('\n')
	}
}

// plainLine reads a line of the direction without markers, up to MaxLine.
func plainLine(br *bufio.Reader) (string, error) {
	var line []byte
	for {
		piece, err := br.ReadSlice('\n')
		line = append(line, piece...)
		if len(line) > MaxLine+1 {
			return string(line), errTooLong
		}

		if err == nil {
			return strings.TrimSuffix(string(line[:len(line)-1]), "\r"), nil
		}

		if !errors.Is(err, bufio.ErrBufferFull) {
			return string(line), err
		}
	}
}

// block reads "name: value" lines up to the terminator, and passes them to each.
func (m *markedLines) block(step Step, each func(name, value string) *Error) *Error {
	for n := 0; ; n++ {
		line, err := m.next()
		if err != nil {
			return readFailure(err, TruncatedBlock, step, line)
		}

		if line == "" {
			return nil
		}

		if n == MaxHeaderLines {
			return fail(BlockTooLong, step, line)
		}

		name, value, ok := strings.Cut(line, ": ")
		if !ok || name == "" {
			return fail(MalformedLine, step, line)
		}

		if e := each(name, value); e != nil {
			return e
		}
	}
}

// readMessage reads an Error message after its first line.
func (m *markedLines) readMessage(enter func(Step)) *Error {
	enter(ReadErrorAttributes)
	msg := &Message{}
	e := m.block(ReadErrorAttributes, func(name, value string) *Error {
		if name == "html" {
			msg.HTML = value == "true"
		}

		return nil
	})
	if e != nil {
		return e
	}

	enter(ReadErrorText)
	text, err := io.ReadAll(io.LimitReader(m.br, MaxErrorText))
	msg.Text = string(text)
	if err == nil && len(text) == MaxErrorText {
		// A program that cannot write the rest would not come to its end.
		_, err = io.Copy(io.Discard, m.br)
	}

	if err != nil && !ended(err) {
		e := readFailure(err, ReadFailed, ReadErrorText, "")
		e.Message = msg
		return e
	}

	e = fail(AppError, ReadErrorText, "")
	e.Message = msg

	return e
}
