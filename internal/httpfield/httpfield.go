// Package httpfield says which bytes the tokens, values, targets and hosts of HTTP may have.
// golang.org/x/net/http/httpguts is laxer: it takes a value's ends and a target as they come.
package httpfield

import (
	"strings"
	"unicode/utf8"
)

// Classes of bytes.
const (
	inToken  = 1 << iota // RFC 9110 section 5.6.2
	inTarget             // what a target may have: no space, control character or fragment
	inHost               // a name of RFC 3986 section 3.2.2
)

var classes = func() (classes [256]byte) {
	for i := range classes {
		c := byte(i)
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || IsDigit(c)
		if letter || c != 0 && strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
			classes[i] |= inToken
		}

		if c > ' ' && c != 0x7f && c != '#' {
			classes[i] |= inTarget
		}

		if letter || c != 0 && strings.IndexByte("-._~!$&'()*+,;=%", c) >= 0 {
			classes[i] |= inHost
		}
	}

	return classes
}()

// IsDigit reports whether c is a decimal digit.
func IsDigit(c byte) bool { return '0' <= c && c <= '9' }

// IsHex reports whether c is a hexadecimal digit.
func IsHex(c byte) bool { return IsDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// IsTokenByte reports whether tokens may have c.
func IsTokenByte(c byte) bool { return classes[c]&inToken != 0 }

// IsTargetByte reports whether targets may have c.
func IsTargetByte(c byte) bool { return classes[c]&inTarget != 0 }

// IsToken reports whether s is a token, as methods and the names of fields are.
func IsToken(s string) bool {
	for i := range len(s) {
		if !IsTokenByte(s[i]) {
			return false
		}
	}

	return len(s) > 0
}

// ValidTarget reports whether a target has neither a control character, nor a space, nor
// a fragment.
func ValidTarget(target string) bool {
	for i := range len(target) {
		if !IsTargetByte(target[i]) {
			return false
		}
	}

	return target != ""
}

// ValidValue reports whether a field's value has no control character but the tab, RFC
// 9110 section 5.5.
func ValidValue(v string) bool {
	for len(v) >= 8 {
		// Eight bytes at once: those below a space, and DEL, set their highest bit.
		w := v[:8]
		x := uint64(w[0]) | uint64(w[1])<<8 | uint64(w[2])<<16 | uint64(w[3])<<24 |
			uint64(w[4])<<32 | uint64(w[5])<<40 | uint64(w[6])<<48 | uint64(w[7])<<56
		const ones, tops = 0x0101010101010101, 0x8080808080808080
		del := x ^ ones*0x7f
		if (x-ones*' ')&^x&tops|(del-ones)&^del&tops != 0 && !validBytes(w) {
			return false
		}

		v = v[8:]
	}

	return validBytes(v)
}

func validBytes(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}

	return true
}

// ValidEnds reports whether a value neither begins nor ends with a byte or a character
// that some languages take for a space and strip, 0x85 and 0xa0. The last byte of another
// character in UTF-8 is none of those.
func ValidEnds(v string) bool {
	if len(v) == 0 {
		return true
	}

	if first := v[0]; first == nextLine || first == noBreakSpace {
		return false
	}

	if len(v) > 1 && v[0] == 0xc2 && (v[1] == nextLine || v[1] == noBreakSpace) {
		return false
	}

	last := v[len(v)-1]
	if last != nextLine && last != noBreakSpace {
		return true
	}

	r, size := utf8.DecodeLastRuneInString(v)

	return size > 1 && r != nextLine && r != noBreakSpace
}

const (
	nextLine     = 0x85
	noBreakSpace = 0xa0
)

// EqualFold reports whether a and b are equal but for the case of ASCII letters. By the
// rules of Unicode, the Kelvin sign is a k as well.
func EqualFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}

	for i := range len(a) {
		if a[i] != b[i] && Lower(a[i]) != Lower(b[i]) {
			return false
		}
	}

	return true
}

// Lower returns c, or the small letter of an ASCII capital.
func Lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}

	return c
}

// ValidHost reports whether host is a name or an address, with a port perhaps, RFC 3986
// section 3.2. An empty one is.
func ValidHost(host string) bool {
	i := 0
	if len(host) > 0 && host[0] == '[' {
		for i = 1; i < len(host) && host[i] != ']'; i++ {
			if c := host[i]; !IsHex(c) && c != ':' && c != '.' {
				return false
			}
		}

		if i == len(host) || i == 1 {
			return false
		}

		i++
	} else {
		for i < len(host) && classes[host[i]]&inHost != 0 {
			i++
		}
	}

	if i == len(host) {
		return true
	}

	if host[i] != ':' {
		return false
	}

	for i++; i < len(host); i++ {
		if !IsDigit(host[i]) {
			return false
		}
	}

	return true
}

// Spelling is how a program writes the name of a field, where that is not the canonical form of Go.
type Spelling struct{ Canonical, Written string }

// Upper returns s with ASCII letters as capitals.
func Upper(s string) string {
	return strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' {
			return c - ('a' - 'A')
		}

		return c
	}, s)
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

// Elements returns the elements of comma-separated values without the spaces around them. Empty ones are none, RFC 9110
// section 5.6.1.
func Elements(values []string) (elements []string) {
	for _, v := range values {
		for element := range strings.SplitSeq(v, ",") {
			if element = strings.Trim(element, " \t"); element != "" {
				elements = append(elements, element)
			}
		}
	}

	return elements
}

// IsPlain reports whether a name consists of letters, digits and dashes: only such names stay apart when
// dashes become underscores, as in CGI.
func IsPlain(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', IsDigit(c), c == '-':
		default:
			return false
		}
	}

	return name != ""
}
