// Package printable keeps texts of applications, users and files from commanding a terminal
// or looking like more than they are: a question mark stands for each other character.
//
// It is for what people read and no program reads back. internal/redact and the text of the
// log escape instead, so that nothing is lost.
package printable

import (
	"strings"
	"unicode"
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
