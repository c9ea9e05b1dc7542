package handler

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// DefaultStickyCookieName is the default of [StickySessions.CookieName].
const DefaultStickyCookieName = "_passenger_route"

// StickySessions sends the requests of a client to the process that served its earlier ones, as long as that process is
// there. A cookie names the process; every response of the application sets it. The processes for
// Config.UnlimitedConcurrencyPaths are others, and have a cookie of their own, with "_unlimited" behind its name.
type StickySessions struct {
	Enabled bool
	// CookieName is a token (RFC 9110). Empty means DefaultStickyCookieName. Browsers send a cookie to all ports of a
	// host (RFC 6265 section 8.5): applications at the same path of one host, on several ports, need a name each. They
	// would overwrite each other's cookie, and a client of both would have no process for long.
	CookieName string
	// CookieAttributes follow the cookie's value and path, as in "SameSite=None; Secure; Max-Age=3600". Empty means
	// "SameSite=Lax", and "Secure" if the request came by HTTPS.
	CookieAttributes string
}

// Validate reports every fault of s, joined.
func (s *StickySessions) Validate() error {
	var errs []error
	if s.CookieName != "" && !httpfield.IsToken(s.CookieName) {
		errs = append(errs, fmt.Errorf("StickySessions.CookieName: the name %q of the cookie for sticky sessions "+
			"has characters other than letters, digits and !#$%%&'*+-.^_`|~", s.CookieName))
	}

	if !httpfield.ValidValue(s.CookieAttributes) {
		errs = append(errs, fmt.Errorf("StickySessions.CookieAttributes: the attributes %q of the cookie for sticky "+
			"sessions have characters that a header must not have: leave control characters out", s.CookieAttributes))
	}

	return errors.Join(errs...)
}

// stickyRoute has the beginning and the end of the cookie for sticky sessions.
type stickyRoute struct {
	name, path, attributes string
}

// unlimitedCookieSuffix follows the cookie's name for the processes of Config.UnlimitedConcurrencyPaths.
const unlimitedCookieSuffix = "_unlimited"

// newStickyRoute returns nil where there are no sticky sessions. suffix follows the cookie's name.
func newStickyRoute(s *StickySessions, base, suffix string) *stickyRoute {
	if !s.Enabled {
		return nil
	}

	return &stickyRoute{
		name:       cmp.Or(s.CookieName, DefaultStickyCookieName) + suffix,
		path:       cookiePath(base),
		attributes: strings.Trim(s.CookieAttributes, "; "),
	}
}

// cookiePath returns the attribute Path for requests below base. Browsers compare it without decoding, and a semicolon
// would end it, so that it ends before a segment that has one.
func cookiePath(base string) string {
	if semicolon := strings.IndexByte(base, ';'); semicolon >= 0 {
		base = base[:strings.LastIndexByte(base[:semicolon], '/')]
	}

	return cmp.Or(base, "/")
}

// maxCookies bounds how many cookies are read: browsers keep 180 of a site at most.
const maxCookies = 512

// wanted returns the process that the client's cookie names; zero means none.
func (r *stickyRoute) wanted(h http.Header) uint32 {
	left := maxCookies
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			if left--; left < 0 {
				return 0
			}

			name, value, _ := strings.Cut(strings.TrimLeft(pair, " \t"), "=")
			if name != r.name {
				continue
			}

			if id, err := strconv.ParseUint(value, 10, 32); err == nil {
				return uint32(id)
			}
		}
	}

	return 0
}

// cookie returns the cookie that names a process.
func (r *stickyRoute) cookie(id uint32, https bool) string {
	attributes := r.attributes
	if attributes == "" {
		attributes = "SameSite=Lax"
		if https {
			attributes += "; Secure"
		}
	}

	return r.name + "=" + strconv.FormatUint(uint64(id), 10) + "; Path=" + r.path + "; " + attributes
}
