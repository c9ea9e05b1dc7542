package httphead

import (
	"strings"
	"unicode/utf8"
	"unsafe"
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
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || isDigit(c)
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

// view is b as a string, as long as b does not change.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), //nolint:gosec // G103: it does not outlive the call that it is made for
		len(b))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isToken(s string) bool {
	for i := range len(s) {
		if classes[s[i]]&inToken == 0 {
			return false
		}
	}

	return len(s) > 0
}

// IsToken reports whether s is a token, as methods and the names of fields are.
func IsToken(s string) bool { return isToken(s) }

// CheckMethod returns the error of a method that [Head.Parse] refuses; nil if it does not.
func CheckMethod(method string) error {
	switch {
	case !isToken(method):
		return errMethod
	case len(method) > MaxMethod:
		return errLongMethod
	}

	return nil
}

// ValidTarget reports whether a target has neither a control character, nor a space, nor
// a fragment.
func ValidTarget(target string) bool {
	for i := range len(target) {
		if classes[target[i]]&inTarget == 0 {
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

// EqualFold compares with lower, which is of small letters, in ASCII: others have equals
// beyond that.
func EqualFold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}

	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}

		if c != lower[i] {
			return false
		}
	}

	return true
}

// ValidHost reports whether host is a name or an address, with a port perhaps, RFC 3986
// section 3.2. An empty one is.
func ValidHost(host string) bool {
	i := 0
	if len(host) > 0 && host[0] == '[' {
		for i = 1; i < len(host) && host[i] != ']'; i++ {
			if c := host[i]; !isHex(c) && c != ':' && c != '.' {
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
		if !isDigit(host[i]) {
			return false
		}
	}

	return true
}

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
