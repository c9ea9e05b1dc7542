package agent

import (
	"fmt"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

const (
	// foreverCache is for names that have a digest of what is in the file.
	foreverCache = "public, max-age=31536000, immutable"
	// shortestDigest is what esbuild, webpack and Vite's hex form make at least.
	shortestDigest = 8
)

// setCacheControl says how long a file may be kept.
func (s *static) setCacheControl(w http.ResponseWriter, name string) {
	switch {
	case s.immutable && fingerprinted(name):
		w.Header().Set("Cache-Control", foreverCache)
	case s.cacheControl != "":
		w.Header().Set("Cache-Control", s.cacheControl)
	}
}

// fingerprinted reports whether a name has a digest in hexadecimal, as app-0a1b2c3d.js and app.0a1b2c3d.css: between a
// hyphen, dot or underscore and a dot. A date has no letter and a word no digit; the end of a UUID is no digest, since
// what is uploaded under one may be replaced, nor is a name that is nothing else, as that of a picture of a user.
func fingerprinted(name string) bool {
	rest := path.Base(name)
	for {
		dot := strings.LastIndexByte(rest, '.')
		if dot < 0 {
			return false
		}

		rest = rest[:dot]

		begin := strings.LastIndexAny(rest, "-._") + 1
		if begin > 1 && isDigest(rest[begin:]) && !uuidBefore(rest[:begin]) {
			return true
		}
	}
}

// uuidBefore reports whether s ends in all of a UUID but the last part.
func uuidBefore(s string) bool {
	const form = "00000000-0000-0000-0000-"
	if len(s) < len(form) {
		return false
	}

	for i, c := range []byte(s[len(s)-len(form):]) {
		isHex := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
		if form[i] == '-' && c != '-' || form[i] == '0' && !isHex {
			return false
		}
	}

	return true
}

func isDigest(s string) bool {
	const digits, letters = "0123456789", "abcdef"
	return len(s) >= shortestDigest && strings.Trim(s, digits+letters) == "" &&
		strings.ContainsAny(s, digits) && strings.ContainsAny(s, letters)
}

// cacheDirective is one of Cache-Control (RFC 9111, section 5.2).
var cacheDirective = sync.OnceValue(func() *regexp.Regexp {
	const name = "[!#$%&'*+.^_|~0-9A-Za-z-]+"
	return regexp.MustCompile(`^\s*(` + name + `)(?:=(` + name + `|"[^"\x00-\x1f\x7f]*"))?\s*(,|$)`)
})

// checkCacheControl reports what is wrong with a value of static_cache_control.
func (c *Config) checkCacheControl() error {
	value := c.StaticCacheControl
	if value == "" {
		return nil
	}

	// A value in quotes may have commas, such as no-cache="set-cookie, x".
	for rest, more := value, true; more; {
		parts := cacheDirective().FindStringSubmatch(rest)
		if parts == nil {
			return fmt.Errorf("static_cache_control is %q: use directives with commas between, such as "+
				`"public, max-age=3600"`, value)
		}

		switch name := strings.ToLower(parts[1]); name {
		case "max-age", "s-maxage", "stale-while-revalidate", "stale-if-error":
			if _, err := strconv.ParseUint(parts[2], 10, 31); err != nil {
				return fmt.Errorf("static_cache_control is %q: %s needs a number of seconds, such as %s=3600",
					value, name, name)
			}
		}

		rest, more = rest[len(parts[0]):], parts[3] != ""
	}

	return nil
}
