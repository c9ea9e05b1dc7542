package spawner

import (
	"fmt"
	"strings"
)

// foldFrames replaces each row of stack frames in our loaders, whose directory is
// dir, by one line: what is left of a traceback is the application's.
func foldFrames(text, dir string) string {
	if dir == "" || !strings.Contains(text, dir) {
		return text
	}

	dir = strings.TrimSuffix(dir, "/") + "/"

	var b strings.Builder
	frames, indent := 0, ""
	python := false // the lines of source below a frame belong to it

	unfold := func() {
		switch frames {
		case 0:
		case 1:
			fmt.Fprintf(&b, "%s… 1 frame of the loader\n", indent)
		default:
			fmt.Fprintf(&b, "%s… %d frames of the loader\n", indent, frames)
		}

		frames = 0
	}
	for line := range strings.Lines(text) {
		if isFrameIn(line, dir) {
			if frames == 0 {
				indent = line[:len(line)-len(strings.TrimLeft(line, " \t"))]
			}

			frames++
			python = strings.HasPrefix(strings.TrimLeft(line, " "), pythonFrame)

			continue
		}

		if frames > 0 && python && strings.HasPrefix(line, "    ") && !strings.HasPrefix(strings.TrimLeft(line, " "),
			pythonFrame) {
			continue
		}

		unfold()
		b.WriteString(line)
	}

	unfold()

	if !strings.HasSuffix(text, "\n") {
		return strings.TrimSuffix(b.String(), "\n")
	}

	return b.String()
}

const pythonFrame = `File "`

// isFrameIn reports whether a line is a stack frame of Python, Ruby, Node.js or Perl
// whose source is in dir.
func isFrameIn(line, dir string) bool {
	frame := strings.TrimLeft(line, " \t")
	if len(frame) == len(line) {
		return false
	}

	if number, rest, ok := strings.Cut(frame, ": from "); ok && strings.Trim(number, "0123456789") == "" {
		frame = "from " + rest // as Ruby numbers them
	}

	return strings.HasPrefix(frame, pythonFrame+dir) ||
		strings.HasPrefix(frame, "from "+dir) ||
		strings.HasPrefix(frame, "at ") && strings.Contains(frame, dir) ||
		strings.Contains(frame, " called at "+dir)
}

// withoutMarkers is what a process printed without lines of the protocol that came
// when nothing waited for them any more.
func withoutMarkers(output string) string {
	const marker = "!> "
	if !strings.Contains(output, marker) {
		return output
	}

	var b strings.Builder
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, marker) {
			b.WriteString(line)
		}
	}

	return b.String()
}
