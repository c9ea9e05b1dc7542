package spawner

import (
	"slices"
	"strings"
)

// pythonStatements returns the statements at the top level, in one line each, without comments and without what
// is in strings of several lines.
func pythonStatements(source string) []string {
	s := pythonScanner{rest: source}
	for s.rest != "" {
		s.statement()
	}

	return s.statements
}

// pythonScanner reads statements of Python.
type pythonScanner struct {
	rest       string
	statements []string
	// text is the statement so far, and depth that of its brackets.
	text  strings.Builder
	depth int
}

// pythonBlocks are the words that begin statements with a block.
var pythonBlocks = []string{
	"if", "elif", "else", "for", "while", "with", "try", "except", "finally", "class", "def", "async",
}

// statement reads a line of statements, with all lines that continue it.
func (s *pythonScanner) statement() {
	inBlock := s.rest[0] == ' ' || s.rest[0] == '\t'

	for s.rest != "" {
		c := s.rest[0]
		switch {
		case c == '#':
			s.skip(max(strings.IndexByte(s.rest, '\n'), 0))
			if s.rest[0] != '\n' {
				s.rest = "" // the last line
			}
		case c == '\'' || c == '"':
			s.string()
		case c == '\\':
			s.skip(min(1+len(lineEnd(s.rest[1:])), len(s.rest)))
			s.text.WriteByte(' ')
		case c == '\n' && s.depth == 0:
			s.end(inBlock)
			s.skip(1)

			return
		case c == ';' && s.depth == 0:
			// What follows a block in its line is part of it.
			word, _, _ := strings.Cut(strings.TrimSpace(s.text.String()), " ")
			begins := slices.Contains(pythonBlocks, strings.TrimRight(word, ":"))
			s.end(inBlock)
			s.skip(1)
			inBlock = inBlock || begins
		default:
			s.code(c)
		}
	}

	s.end(inBlock)
}

// code takes a character that is neither in a string nor in a comment.
func (s *pythonScanner) code(c byte) {
	switch c {
	case '(', '[', '{':
		s.depth++
	case ')', ']', '}':
		s.depth = max(s.depth-1, 0)
	case '\r', '\n', '\f':
		c = ' '
	}

	s.text.WriteByte(c)
	s.skip(1)
}

func (s *pythonScanner) skip(n int) { s.rest = s.rest[n:] }

// end ends a statement.
func (s *pythonScanner) end(inBlock bool) {
	if text := strings.TrimSpace(s.text.String()); text != "" && !inBlock {
		s.statements = append(s.statements, text)
	}

	s.text.Reset()
}

// string takes a string. One of several lines counts as an empty one.
func (s *pythonScanner) string() {
	quote := s.rest[:1]
	if long := strings.Repeat(quote, 3); strings.HasPrefix(s.rest, long) {
		quote = long
	}

	n := len(quote)
	for n < len(s.rest) && !strings.HasPrefix(s.rest[n:], quote) {
		if len(quote) == 1 && s.rest[n] == '\n' {
			break // it is not closed, so that this is no Python
		}

		if s.rest[n] == '\\' {
			n++
		}

		n++
	}

	end := min(n+len(quote), len(s.rest))
	if len(quote) == 1 {
		s.text.WriteString(strings.ReplaceAll(s.rest[:end], "\n", " "))
	} else {
		s.text.WriteString(`""`)
	}

	s.skip(end)
}

// lineEnd returns the end of a line that s begins with, or nothing.
func lineEnd(s string) string {
	for _, end := range []string{"\r\n", "\n"} {
		if strings.HasPrefix(s, end) {
			return end
		}
	}

	return ""
}
