package apiserver

import (
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strconv"
)

// right is what a route needs.
type right uint8

const (
	nothing right = iota
	// readPool and modifyPool: for at least one application.
	readPool
	modifyPool
	inspect
	admin
	readOrInspect
)

// rights are what a caller may do.
type rights struct {
	// read and modify are about all applications.
	read, modify, inspect, admin bool
	// apps are the API keys of applications that may be read and modified.
	apps []string
	// account is whose password was right, if that is why.
	account string
	// wait reports whether the password was not looked at, as there were too many wrong ones.
	wait bool
}

var allRights = rights{
	read:    true,
	modify:  true,
	inspect: true,
	admin:   true,
}

func (r *rights) include(needed right) bool {
	switch needed {
	case nothing:
		return true
	case readPool:
		return r.read || len(r.apps) > 0
	case modifyPool:
		return r.modify || len(r.apps) > 0
	case inspect:
		return r.inspect
	case admin:
		return r.admin
	case readOrInspect:
		return r.include(readPool) || r.inspect
	}

	return false
}

// authorize adds up what the caller may do.
func (c *call) authorize() (granted rights) {
	switch {
	case c.known && (c.peer.UID == 0 || c.peer.UID == c.euid), !c.known && c.cfg.AllowAnyone:
		return allRights
	case c.known:
		granted.addApps(c, func(uid int, _ string) bool { return uid >= 0 && uid == c.peer.UID })
	}

	name, password, ok := c.credentials()
	if !ok {
		return granted
	}

	who := c.caller()
	// Right ones have to wait as well, or guessing would go on.
	if !c.guesses.allowed(who) {
		granted.wait = true
		return granted
	}

	correct := false
	if name == apiName {
		correct = granted.addApps(c, func(_ int, key string) bool {
			return subtle.ConstantTimeCompare([]byte(key), []byte(password)) == 1
		})
	} else if level, found := findAccount(c.accounts, name, password); found {
		correct = true
		granted.read, granted.inspect = true, true
		granted.modify, granted.admin = level == Full, level == Full
	}

	if correct {
		granted.account = name
	} else {
		c.guesses.failed(who)
	}

	return granted
}

// apiName is the user name that goes with an API key.
const apiName = "api"

// addApps adds the applications that match, and reports whether there are any.
func (r *rights) addApps(c *call, match func(uid int, key string) bool) (found bool) {
	// The watchdog's API has no applications.
	if c.cfg.Pool == nil {
		return false
	}

	for _, app := range c.cfg.Pool.Identities() {
		if match(app.UID, app.APIKey) {
			r.apps = append(r.apps, app.APIKey)
			found = true
		}
	}

	return found
}

func (c *call) credentials() (name, password string, ok bool) {
	// Of two, a proxy in front may have checked the other one.
	if len(c.r.Header["Authorization"]) != 1 {
		return "", "", false
	}

	return c.r.BasicAuth()
}

// caller names the caller in the log and in the count of wrong passwords.
func (c *call) caller() string {
	if c.known {
		return "uid " + strconv.Itoa(c.peer.UID)
	}

	if host, _, err := net.SplitHostPort(c.r.RemoteAddr); err == nil {
		return host
	}

	// Middleware leaves the client's address without a port.
	if ip, err := netip.ParseAddr(c.r.RemoteAddr); err == nil {
		return ip.String()
	}

	return "unknown"
}

func (c *call) unauthorized() {
	h := c.w.Header()
	h.Set("WWW-Authenticate", `Basic realm="api"`)
	if c.rights.wait {
		h.Set("Retry-After", strconv.Itoa(int(guessWindow.Seconds())))
	}

	// Tools tell it from a missing right.
	if c.known && poolPaths[c.r.URL.Path] && len(c.cfg.Pool.Identities()) == 0 {
		h.Set("Pool-Empty", "true")
	}

	c.write(http.StatusUnauthorized, textType, []byte("Unauthorized"))
}
