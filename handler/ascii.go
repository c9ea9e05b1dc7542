package handler

import "strings"

// upperASCII changes ASCII letters only: by the rules of Unicode there are others.
func upperASCII(s string) string {
	return strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' {
			return c - ('a' - 'A')
		}

		return c
	}, s)
}
