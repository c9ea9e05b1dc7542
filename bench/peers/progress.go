package main

import (
	"fmt"
	"io"
	"os"
)

// progress tells how far things are: on a terminal in a line that changes,
// elsewhere in a line each.
type progress struct {
	w        io.Writer
	terminal bool
}

func newProgress(f *os.File) *progress {
	info, err := f.Stat()
	return &progress{w: f, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (p *progress) say(format string, args ...any) {
	if p.terminal {
		const most = 110
		fmt.Fprintf(p.w, "\r\033[K%.*s", most, fmt.Sprintf(format, args...))
		return
	}

	fmt.Fprintf(p.w, format+"\n", args...)
}

// warn says what stays to be read.
func (p *progress) warn(format string, args ...any) {
	p.clear()
	fmt.Fprintf(p.w, format+"\n", args...)
}

func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(p.w, "\r\033[K")
	}
}
