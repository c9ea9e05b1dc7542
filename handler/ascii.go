package handler

import "strings"

// Protocols fold the case of ASCII letters only: by the rules of Unicode the
// Kelvin sign is a k as well.

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}

	return c
}

// equalASCII: a and b are equal but for the case of ASCII letters.
func equalASCII(a, b string) bool {
	if len(a) != len(b) {
		return false
	}

	for i := range len(a) {
		if lowerASCII(a[i]) != lowerASCII(b[i]) {
			return false
		}
	}

	return true
}

func upperASCII(s string) string {
	return strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' {
			return c - ('a' - 'A')
		}

		return c
	}, s)
}
