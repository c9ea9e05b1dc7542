package terminal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ErrCancelled is why nothing was chosen.
var ErrCancelled = errors.New("cancelled")

// Menu lets the user choose an item.
type Menu struct {
	Title string
	Items []string
	// Plain reports whether the terminal can do no more than print, and reads lines.
	Plain bool
}

// Choose returns which item was chosen. The error is ErrCancelled, ctx's, or the
// terminal's.
func (m *Menu) Choose(ctx context.Context, in, out *os.File) (int, error) {
	// What has scrolled away cannot be drawn again in its place.
	if _, height := size(out); m.Plain || len(m.Items)+len(menuEnds) >= height {
		return m.ask(ctx, in, out)
	}

	k, err := openKeyboard(in)
	if err != nil {
		return 0, err
	}

	chosen, err := m.move(ctx, k, out)

	return chosen, errors.Join(err, k.close())
}

// menuEnds are the lines beside the items: title, Cancel and a hint.
var menuEnds = [3]string{1: "Cancel", 2: "Up and down move, Enter chooses, q leaves."}

func (m *Menu) move(ctx context.Context, k *keyboard, out *os.File) (int, error) {
	entries := append(append([]string{}, m.Items...), menuEnds[1])
	width, _ := size(out)
	fmt.Fprintf(out, "%s\r\n", cut(m.Title, width))

	for at := 0; ; {
		var b strings.Builder
		for i, entry := range entries {
			line := "  " + entry
			if i == at {
				line = Bold + "> " + entry + Reset
			}

			b.WriteString(cut(line, width) + "\x1b[K\r\n")
		}

		b.WriteString(cut(menuEnds[2], width) + "\x1b[K\r")
		fmt.Fprintf(&b, "\x1b[%dA", len(entries))
		if _, err := out.WriteString(b.String()); err != nil {
			return 0, err
		}

		key, err := nextKey(ctx, k)
		switch key {
		case Up, 'k':
			at = (at + len(entries) - 1) % len(entries)
		case Down, 'j', '\t':
			at = (at + 1) % len(entries)
		case Home, PageUp:
			at = 0
		case End, PageDown:
			at = len(entries) - 1
		case Enter, ' ':
			err = ErrCancelled
			if at < len(m.Items) {
				return at, m.end(out, len(entries))
			}
		case Leave, 'q':
			err = ErrCancelled
		case other:
		}

		if err != nil {
			return 0, errors.Join(err, m.end(out, len(entries)))
		}
	}
}

// end leaves the cursor below the menu, without the hint.
func (*Menu) end(out *os.File, down int) error {
	_, err := fmt.Fprintf(out, "\x1b[%dB\r\x1b[K", down)
	return err
}

func nextKey(ctx context.Context, k *keyboard) (Key, error) {
	select {
	case key, more := <-k.keys:
		if !more {
			return other, ErrCancelled
		}

		return key, nil
	case <-ctx.Done():
		return other, context.Cause(ctx)
	}
}

// ask is for terminals that can only print.
func (m *Menu) ask(ctx context.Context, in, out *os.File) (int, error) {
	var b strings.Builder
	b.WriteString(m.Title + "\n")

	for i, item := range m.Items {
		fmt.Fprintf(&b, "%3d  %s\n", i+1, item)
	}

	fmt.Fprintf(&b, "%3d  %s\n", 0, menuEnds[1])

	for {
		fmt.Fprintf(&b, "Its number: ")
		if _, err := out.WriteString(b.String()); err != nil {
			return 0, err
		}

		line, err := readLine(ctx, in)
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}

		line = strings.TrimSpace(line)

		n, notNumber := strconv.Atoi(line)
		switch {
		case line == "" || line == "q" || notNumber == nil && n == 0:
			return 0, ErrCancelled
		case notNumber == nil && n >= 1 && n <= len(m.Items):
			return n - 1, nil
		case err != nil:
			return 0, ErrCancelled
		}

		b.Reset()
		fmt.Fprintf(&b, "%q is not one of the numbers.\n", line)
	}
}
