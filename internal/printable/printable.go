// Package printable keeps texts of applications, users and files from commanding a terminal
// or looking like more than they are: a question mark stands for each other character.
//
// It is for what people read and no program reads back. internal/redact and the text of the
// log escape instead, so that nothing is lost, and so does JSON, which stays what it was to programs.
package printable

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Line returns s as one line.
func Line(s string) string { return keep(s, "") }

// Text returns s, which may have several lines.
func Text(s string) string { return keep(s, "\n\t") }

// Not reports whether c is a character that Line replaces.
func Not(c rune) bool { return !unicode.IsPrint(c) }

func keep(s, allowed string) string {
	return strings.Map(func(c rune) rune {
		if !Not(c) || strings.ContainsRune(allowed, c) {
			return c
		}

		return '?'
	}, s)
}

// JSON returns valid JSON with the characters of its texts that Line would replace in the form \u009b, which means
// the same. Without any, it returns b.
func JSON(b []byte) []byte {
	i := indexUnsafe(b)
	if i < 0 {
		return b
	}

	safe := append(make([]byte, 0, len(b)+16), b[:i]...)

	for b = b[i:]; len(b) > 0; {
		c, size := utf8.DecodeRune(b)
		switch {
		// Below are those that JSON itself does not allow in texts, and those between its texts.
		case c < del || !Not(c):
			safe = append(safe, b[:size]...)
		case c > 0xffff:
			high, low := utf16.EncodeRune(c)
			safe = fmt.Appendf(safe, `\u%04x\u%04x`, high, low)
		default:
			safe = fmt.Appendf(safe, `\u%04x`, c)
		}

		b = b[size:]
	}

	return safe
}

// del is the last control character of ASCII.
const del = 0x7f

// indexUnsafe returns where the first character is that JSON may have to replace, or -1.
func indexUnsafe(b []byte) int {
	for i, c := range b {
		if c >= del {
			return i
		}
	}

	return -1
}

// JSONWriter returns a writer for lines of JSON, each of which it passes on in the form of JSON.
func JSONWriter(w io.Writer) io.Writer { return writer{w, JSON} }

// TextWriter returns a writer for whole lines, which it passes on in the form of Text.
func TextWriter(w io.Writer) io.Writer {
	return writer{w, func(b []byte) []byte { return []byte(Text(string(b))) }}
}

type writer struct {
	to   io.Writer
	safe func([]byte) []byte
}

func (w writer) Write(p []byte) (int, error) {
	// What was written counts as it came.
	if _, err := w.to.Write(w.safe(p)); err != nil {
		return 0, err
	}

	return len(p), nil
}
