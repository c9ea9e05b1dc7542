package dashboard

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func account(name string) func(r *http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(name, "password of "+name) }
}

func accounts(open bool) *Accounts {
	return &Accounts{Open: open, Of: func(r *http.Request) Access {
		name, password, _ := r.BasicAuth()
		if password != "password of "+name {
			return None
		}

		return map[string]Access{"admin": Change, "ro_admin": Look}[name]
	}}
}

func TestAccountsMayWhatTheirLevelSays(t *testing.T) {
	h := newPage(newInstance("shop"), accounts(false))

	for name, want := range map[string]struct{ look, change int }{
		"admin":    {200, 200},
		"ro_admin": {200, 401},
		"unknown":  {401, 401},
	} {
		require.Equal(t, want.look, get(h, Path, account(name)).Code, name)
		require.Equal(t, want.change, post(h, Path+"/restart", `{"name":"shop"}`, account(name)).Code, name)
	}

	w := get(h, Path)
	require.Equal(t, 401, w.Code)
	require.Equal(t, `Basic realm="passenger", charset="UTF-8"`, w.Header().Get("WWW-Authenticate"))
	require.NotContains(t, w.Body.String(), "<html")
}

func TestEachPathNeedsAPassword(t *testing.T) {
	h := newPage(newInstance("shop"), accounts(false))

	for path, r := range h.routes {
		w := get(h, path)
		if r.method == http.MethodPost {
			w = post(h, path, "{}")
		}

		require.Equal(t, 401, w.Code, path)
	}
}

func TestOpenPageIsForNamesOfThisMachine(t *testing.T) {
	h := newPage(newInstance("shop"), accounts(true))

	for _, name := range []string{
		"127.0.0.1:9000", "127.0.0.1", "localhost:9000", "localhost", "[::1]:9000", "127.8.9.1:1",
	} {
		require.Equal(t, 200, get(h, Path, host(name)).Code, name)
		require.Equal(t, 401, post(h, Path+"/restart", `{"name":"shop"}`, host(name)).Code, name)
	}

	// Its owner can let the name lead to 127.0.0.1, so that the page is of its origin for a browser.
	for _, name := range []string{
		"evil.example:9000", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.5", "", "[::1",
	} {
		require.Equal(t, 401, get(h, Path, host(name)).Code, name)
	}

	require.Equal(t, 200, get(h, Path, host("proxy.example"), account("ro_admin")).Code)
	require.Equal(t, 401, get(h, Path, account("unknown")).Code, "a wrong password is not like none")
	require.Equal(t, 303, get(h, Path+"?sign-in", account("admin")).Code)
	require.Equal(t, 401, get(h, Path+"?sign-in", account("ro_admin")).Code)
}

func TestTokenIsForOneBrowser(t *testing.T) {
	door, token := NewToken(Change, "127.0.0.1:9000", "localhost:9000")
	h := newPage(newInstance("shop"), door)
	require.GreaterOrEqual(t, len(token), 52)
	require.Equal(t, 403, get(h, Path).Code)
	require.Equal(t, 403, get(h, Path+"?token="+token[1:]).Code)
	require.Equal(t, 403, get(h, Path+"/app?token="+token).Code, "it is for the page that was printed")

	w := get(h, Path+"?token="+token)
	require.Equal(t, 303, w.Code)
	require.Equal(t, Path, w.Header().Get("Location"))
	require.Len(t, w.Result().Cookies(), 1)
	cookie := w.Result().Cookies()[0]
	require.True(t, cookie.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	require.Equal(t, Path, cookie.Path)
	require.Equal(t, "passenger-dashboard-9000", cookie.Name, "browsers send cookies to all ports")
	require.NotContains(t, cookie.Value, token)

	require.Equal(t, 403, get(h, Path+"?token="+token).Code, "it is used")
	with := func(value string) func(r *http.Request) {
		return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: cookie.Name, Value: value}) }
	}
	require.Equal(t, 200, get(h, Path, with(cookie.Value)).Code)
	require.Equal(t, 200, get(h, Path, with(cookie.Value), host("localhost:9000")).Code)
	require.Equal(t, 200, post(h, Path+"/restart", `{"name":"shop"}`, with(cookie.Value)).Code)

	for _, wrong := range []string{"", cookie.Value[1:], cookie.Value + "A", strings.ToLower(cookie.Value), token} {
		require.Equal(t, 403, get(h, Path, with(wrong)).Code, wrong)
	}
}

func TestTokenIsForItsHosts(t *testing.T) {
	door, token := NewToken(Change, "127.0.0.1:9000")
	h := newPage(newInstance(), door)

	for _, name := range []string{"evil.example:9000", "127.0.0.1", "127.0.0.1:9001", "localhost:9000", ""} {
		require.Equal(t, 421, get(h, Path+"?token="+token, host(name)).Code, name)
	}

	require.Equal(t, 303, get(h, Path+"?token="+token).Code, "these have not used it")
}

func TestTokenOfViewerWhoMayOnlyLook(t *testing.T) {
	door, token := NewToken(Look, "127.0.0.1:9000")
	h := newPage(newInstance("shop"), door)
	cookie := get(h, Path+"?token="+token).Result().Cookies()[0]
	signedIn := func(r *http.Request) { r.AddCookie(cookie) }
	require.Contains(t, get(h, Path, signedIn).Body.String(), `data-may="look">`)
	require.Equal(t, 403, post(h, Path+"/restart", `{"name":"shop"}`, signedIn).Code)
}
