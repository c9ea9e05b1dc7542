// Package terminal shows things on terminals: colours, a screen that is drawn
// again and again, and a menu.
package terminal

import (
	"os"

	"golang.org/x/term"
)

// Is reports whether stream is a terminal.
func Is(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Colours reports whether stream is to have colours: it is a terminal that can,
// and the environment variable NO_COLOR is not set; or they are forced.
func Colours(stream any, force bool, getenv func(string) string) bool {
	return force || Is(stream) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

// Width is how many characters a line of a terminal has; 80 of what is none.
func Width(stream any) int {
	f, ok := stream.(*os.File)
	if !ok {
		return defaultWidth
	}

	width, _ := size(f)

	return width
}

// The colours, as escape sequences.
const (
	Heading = "\x1b[44m\x1b[33m\x1b[1m"
	Bold    = "\x1b[1m"
	Red     = "\x1b[31m"
	Green   = "\x1b[32m"
	Yellow  = "\x1b[33m"
	Reset   = "\x1b[0m"
)

// The size where the terminal does not tell.
const defaultWidth, defaultHeight = 80, 24

// size returns the terminal's, in characters.
func size(f *os.File) (width, height int) {
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		width = defaultWidth
	}

	if err != nil || height <= 0 {
		height = defaultHeight
	}

	return width, height
}
