package dashboard

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
)

// Accounts is the door of a server that knows accounts.
type Accounts struct {
	// Of returns what the account of a request, by its name and password, may do; None means that they are wrong.
	Of func(r *http.Request) Access
	// Open lets all look that come by a name of this machine.
	Open bool
}

// Admit implements Door.
func (a *Accounts) Admit(w http.ResponseWriter, r *http.Request, needed Access) Access {
	access := None
	_, _, named := r.BasicAuth()

	// A wrong password is not taken for none: the viewer would not notice.
	switch {
	case named:
		access = a.Of(r)
	case a.Open && namesThisMachine(r.Host):
		access = Look
	}

	if access < needed {
		w.Header().Set("WWW-Authenticate", `Basic realm="passenger", charset="UTF-8"`)
		http.Error(w, "sign in with an account of this server that may do this", http.StatusUnauthorized)
	}

	return access
}

// SignIn implements Door.
func (*Accounts) SignIn() bool { return true }

// namesThisMachine reports whether the header Host is one that no other site can have. A site could let its name lead
// to this machine, and its pages would be of the same origin as ours then.
func namesThisMachine(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}

	addr, err := netip.ParseAddr(host)

	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Token is the door of a page for one user: a word that is used once becomes a cookie.
type Token struct {
	access Access
	// hosts are what the header Host may be.
	hosts []string
	// cookie is its name. Browsers send cookies to all ports.
	cookie, value string

	mu sync.Mutex
	// token is empty when it was used.
	token string
}

// NewToken returns a door for a page at one of these hosts with ports. Whoever has the token has this access.
func NewToken(access Access, hosts ...string) (door *Token, token string) {
	t := &Token{
		access: access,
		hosts:  hosts,
		cookie: "passenger-dashboard",
		value:  rand.Text() + rand.Text(),
		token:  rand.Text() + rand.Text(),
	}

	if len(hosts) > 0 {
		if _, port, err := net.SplitHostPort(hosts[0]); err == nil {
			t.cookie += "-" + port
		}
	}

	return t, t.token
}

// Admit implements Door.
func (t *Token) Admit(w http.ResponseWriter, r *http.Request, needed Access) Access {
	if !slices.Contains(t.hosts, r.Host) {
		http.Error(w, "the page is at another address: use the one that was printed", http.StatusMisdirectedRequest)
		return None
	}

	if cookie, err := r.Cookie(t.cookie); err == nil && same(cookie.Value, t.value) {
		if t.access < needed {
			http.Error(w, "you may only look", http.StatusForbidden)
		}

		return t.access
	}

	if token := r.URL.Query().Get("token"); token != "" && r.URL.Path == Path && t.use(token) {
		http.SetCookie(w, &http.Cookie{ //nolint:gosec // G124: without TLS on a loopback address
			Name:     t.cookie,
			Value:    t.value,
			Path:     Path,
			HttpOnly: true,
			SameSite: http.SameSiteStrictMode,
		})
		http.Redirect(w, r, Path, http.StatusSeeOther)

		return None
	}

	http.Error(w, "this page is for the browser that has opened the printed address first: run the command again "+
		"for another one", http.StatusForbidden)

	return None
}

// SignIn implements Door.
func (*Token) SignIn() bool { return false }

// use reports whether the token is right, for the first time.
func (t *Token) use(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()

	if t.token == "" || !same(token, t.token) {
		return false
	}

	t.token = ""

	return true
}

// same compares in a time that tells nothing of the texts.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
