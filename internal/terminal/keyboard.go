package terminal

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Key is a key that was pressed: a character, or one of the constants.
type Key rune

// The keys that are no characters.
const (
	Up Key = -1 - iota
	Down
	PageUp
	PageDown
	Home
	End
	Enter
	// Leave is Ctrl-C, Ctrl-D or Esc.
	Leave
	other
)

var sequences = map[string]Key{
	"\x1b[A": Up, "\x1bOA": Up, "\x1b[B": Down, "\x1bOB": Down, "\x1b[5~": PageUp, "\x1b[6~": PageDown,
	"\x1b[H": Home, "\x1bOH": Home, "\x1b[1~": Home, "\x1b[F": End, "\x1bOF": End, "\x1b[4~": End,
	"\x1b": Leave, "\x03": Leave, "\x04": Leave, "\r": Enter, "\n": Enter,
}

// keyboard reads keys from a terminal that does not show them, nor waits for the
// end of a line.
type keyboard struct {
	in    *os.File
	state *term.State
	keys  chan Key
	// wake ends a read, and closed the reader.
	wake, woken *os.File
	closed      chan struct{}
	reading     sync.WaitGroup
	restored    sync.Once
}

func openKeyboard(in *os.File) (_ *keyboard, err error) {
	k := &keyboard{in: in, keys: make(chan Key), closed: make(chan struct{})}
	if k.woken, k.wake, err = os.Pipe(); err != nil {
		return nil, err
	}

	// After the pipe, so that a failure leaves the terminal as it was.
	if k.state, err = term.MakeRaw(int(in.Fd())); err != nil {
		return nil, errors.Join(err, k.wake.Close(), k.woken.Close())
	}

	k.reading.Go(k.read)

	return k, nil
}

// restore may be called several times.
func (k *keyboard) restore() (err error) {
	k.restored.Do(func() { err = term.Restore(int(k.in.Fd()), k.state) })
	return err
}

func (k *keyboard) close() error {
	close(k.closed)
	err := errors.Join(k.restore(), k.wake.Close())
	k.reading.Wait()

	return errors.Join(err, k.woken.Close())
}

// read closes keys when there are no more.
func (k *keyboard) read() {
	defer close(k.keys)

	buf := make([]byte, 256)
	for {
		n, err := readOr(k.in, k.woken, buf)
		if err != nil {
			return
		}

		for _, key := range parseKeys(string(buf[:n])) {
			if !k.deliver(key) {
				return
			}
		}
	}
}

// deliver gives up when the keyboard is closed.
func (k *keyboard) deliver(key Key) bool {
	select {
	case k.keys <- key:
		return true
	case <-k.closed:
		return false
	}
}

// errWoken is why readOr reads nothing.
var errWoken = errors.New("not wanted any more")

// readOr reads from in, unless the other end of woken is closed first.
func readOr(in, woken *os.File, buf []byte) (int, error) {
	for {
		//nolint:gosec // G115: descriptors
		fds := []unix.PollFd{{Fd: int32(in.Fd()), Events: unix.POLLIN}, {Fd: int32(woken.Fd()), Events: unix.POLLIN}}

		_, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		case fds[1].Revents != 0:
			return 0, errWoken
		}

		n, err := unix.Read(int(in.Fd()), buf)
		if n <= 0 && err == nil {
			err = io.EOF
		}

		return max(n, 0), err
	}
}

// parseKeys splits what a terminal sends at once.
func parseKeys(s string) (keys []Key) {
	for s != "" {
		n := 1
		// Esc is a key of its own, and begins the sequences of others, which come at once.
		if s[0] == '\x1b' {
			n = sequenceLength(s)
		}

		if key, known := sequences[s[:n]]; known {
			keys = append(keys, key)
		} else if n == 1 {
			keys = append(keys, Key(s[0]))
		} else {
			keys = append(keys, other)
		}

		s = s[n:]
	}

	return keys
}

// sequenceLength is how long the escape sequence is that s begins with.
func sequenceLength(s string) int {
	if len(s) < 2 || s[1] != '[' && s[1] != 'O' {
		return 1
	}

	for i := 2; i < len(s); i++ {
		// By ECMA-48, this range ends a sequence.
		if s[i] >= '@' && s[i] <= '~' {
			return i + 1
		}
	}

	return len(s)
}

// readLine reads a line from a terminal as it is, or until ctx ends.
func readLine(ctx context.Context, in *os.File) (string, error) {
	woken, wake, err := os.Pipe()
	if err != nil {
		return "", err
	}

	// A read of a terminal does not end with a context.
	stop := context.AfterFunc(ctx, func() { _ = wake.Close() })
	defer func() {
		if stop() {
			// No read waits.
			_ = wake.Close()
		}

		_ = woken.Close()
	}()
	const maxLine = 4096

	line, buf := "", make([]byte, 1)
	// Byte by byte, since what is behind the line is for others to read.
	for len(line) < maxLine {
		if _, err := readOr(in, woken, buf); err != nil {
			if ctx.Err() != nil {
				return "", ctx.Err()
			}

			return line, err
		}

		if buf[0] == '\n' {
			break
		}

		line += string(buf)
	}

	return line, nil
}
