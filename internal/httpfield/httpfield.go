// Package httpfield has the small questions that are asked about the fields of an HTTP head.
//
// Protocols fold the case of ASCII letters only: by the rules of Unicode the Kelvin sign is a k as well.
package httpfield

import "strings"

// Spelling is how a program writes the name of a field, where that is not the canonical form of Go.
type Spelling struct{ Canonical, Written string }

// Lower returns c, an ASCII capital as a small letter.
func Lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}

	return c
}

// Upper returns s with ASCII letters as capitals.
func Upper(s string) string {
	return strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' {
			return c - ('a' - 'A')
		}

		return c
	}, s)
}

// EqualFold reports whether a and b are equal but for the case of ASCII letters.
func EqualFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}

	for i := range len(a) {
		if Lower(a[i]) != Lower(b[i]) {
			return false
		}
	}

	return true
}

// HasToken reports whether one of the comma-separated values lists token, in any case.
func HasToken(values []string, token string) bool {
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			if EqualFold(strings.Trim(t, " \t"), token) {
				return true
			}
		}
	}

	return false
}

// IsPlain reports whether a name consists of letters, digits and dashes: only such names stay apart when
// dashes become underscores, as in CGI.
func IsPlain(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
		default:
			return false
		}
	}

	return name != ""
}
