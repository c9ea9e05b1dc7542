package terminal

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J" // another buffer, no cursor, long lines are cut
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
)

// Screen is a terminal that shows nothing else. It is for one goroutine.
type Screen struct {
	*keyboard
	out     *os.File
	resized chan os.Signal
	left    sync.Once
}

// OpenScreen takes the terminal, until Close gives it back as it was. Close is to
// be deferred, so that it is called also in a panic.
func OpenScreen(in, out *os.File) (*Screen, error) {
	k, err := openKeyboard(in)
	if err != nil {
		return nil, err
	}

	s := &Screen{keyboard: k, out: out, resized: make(chan os.Signal, 1)}
	signal.Notify(s.resized, unix.SIGWINCH)
	if _, err := out.WriteString(enterScreen); err != nil {
		return nil, errors.Join(err, s.Close())
	}

	return s, nil
}

// Keys gets the keys that are pressed. It is closed when the terminal is gone.
func (s *Screen) Keys() <-chan Key { return s.keys }

// Resized tells that the screen has another size, and is to be drawn.
func (s *Screen) Resized() <-chan os.Signal { return s.resized }

// Height is how many lines there are.
func (s *Screen) Height() int {
	_, height := size(s.out)
	return height
}

// Width is how many characters a line has.
func (s *Screen) Width() int {
	width, _ := size(s.out)
	return width
}

// Draw shows lines, of which those are missing that there is no room for. They
// may have colours, but no other escape sequences.
func (s *Screen) Draw(lines []string) error {
	width, height := size(s.out)
	var b strings.Builder
	b.WriteString("\x1b[H")

	for i, line := range lines[:min(len(lines), height)] {
		if i > 0 {
			b.WriteString("\r\n")
		}

		b.WriteString(cut(line, width))
		b.WriteString("\x1b[K")
	}

	b.WriteString("\x1b[J")
	_, err := s.out.WriteString(b.String())

	return err
}

// Close gives the terminal back.
func (s *Screen) Close() (err error) {
	s.left.Do(func() {
		signal.Stop(s.resized)
		_, err = s.out.WriteString(leaveScreen)
		err = errors.Join(err, s.close())
	})

	return err
}

// Guard is deferred by other goroutines that the screen depends on: a panic gives
// the terminal back before it ends the program.
func (s *Screen) Guard() {
	if p := recover(); p != nil {
		// The panic tells more than an error of these.
		_, _ = s.out.WriteString(leaveScreen)
		_ = s.restore()
		panic(p)
	}
}

// cut leaves width characters of a line, and all its colours.
func cut(line string, width int) string {
	var b strings.Builder
	for n := 0; line != ""; {
		if line[0] == '\x1b' {
			length := sequenceLength(line)
			b.WriteString(line[:length])
			line = line[length:]

			continue
		}

		_, length := utf8.DecodeRuneInString(line)
		if n++; n <= width {
			b.WriteString(line[:length])
		}

		line = line[length:]
	}

	return b.String()
}

// Progress shows one line that changes. Its zero value shows nothing.
type Progress struct {
	// Out is a terminal, or nil.
	Out *os.File
}

// Show puts text in the place of what was shown.
func (p *Progress) Show(text string) {
	if p.Out == nil {
		return
	}

	width, _ := size(p.Out)
	// A text in the last column would begin another line on some terminals.
	fmt.Fprintf(p.Out, "\r%s\x1b[K", cut(text, width-1))
}

// Clear takes away what is shown.
func (p *Progress) Clear() { p.Show("") }
