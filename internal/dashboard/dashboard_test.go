package dashboard

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
)

func TestEachResponseForbidsWhatIsNotThePages(t *testing.T) {
	h := newPage(newInstance(), anyone(Change))
	responses := map[string]*httptest.ResponseRecorder{
		"no such": get(h, Path+"/no-such"),
		"method":  get(h, Path+"/restart"),
		"order":   post(h, Path+"/restart", "{}"),
	}

	for at, r := range h.routes {
		if r.method == http.MethodGet && at != Path+"/events" {
			responses[at] = get(h, at)
		}
	}

	require.Greater(t, len(responses), 15)

	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	for at, w := range responses {
		require.Equal(t, policy, w.Header().Get("Content-Security-Policy"), at)
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"), at)
		require.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"), at)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"), at)
	}

	require.Equal(t, http.StatusNotFound, responses["no such"].Code)
	require.Equal(t, http.StatusMethodNotAllowed, responses["method"].Code)
	require.Equal(t, "POST", responses["method"].Header().Get("Allow"))
}

// The policy would keep these from working, and a text of an application could be taken for HTML by some.
var notInAssets = regexp.MustCompile(`(?i:<script[^>]*>[^<]|\sstyle=|\son\w+=|innerHTML|outerHTML|insertAdjacentHTML|` +
	`document\.write|\beval\(|new Function|setTimeout\("|javascript:|//[a-z0-9-]+\.[a-z]|@import)|url\(`)

func TestFilesOfThePageNeedNoOthers(t *testing.T) {
	h := newPage(newInstance(), anyone(Look))
	files, err := assets.ReadDir("assets")
	require.NoError(t, err)

	link := regexp.MustCompile(`(?:href|src)="(/[^"?]*)[^"]*"`)

	size := 0
	for _, f := range files {
		body, err := assets.ReadFile("assets/" + f.Name())
		require.NoError(t, err)

		size += len(body)
		found := notInAssets.FindString(strings.ReplaceAll(string(body), "http://www.w3.org/2000/svg", ""))
		require.Empty(t, found, f.Name())

		if f.Name() == pageFile {
			for _, of := range link.FindAllStringSubmatch(string(body), -1) {
				require.Contains(t, h.routes, of[1])
			}

			continue
		}

		w := get(h, Path+"/"+f.Name())
		require.Equal(t, string(body), w.Body.String())
		require.Equal(t, map[string]string{
			".css": "text/css; charset=utf-8",
			".js":  "text/javascript; charset=utf-8",
			".svg": "image/svg+xml",
		}[path.Ext(f.Name())], w.Header().Get("Content-Type"))
	}

	require.Less(t, size, 100_000)
}

func TestPageSaysWhatTheViewerMay(t *testing.T) {
	for access, want := range map[Access]string{
		Look:   `<html lang="en" data-may="look" data-sign-in="yes">`,
		Change: `<html lang="en" data-may="change">`,
	} {
		require.Contains(t, get(newPage(newInstance(), anyone(access)), Path).Body.String(), want)
	}

	require.Equal(t, http.StatusUnauthorized, get(newPage(newInstance(), anyone(None)), Path).Code)
}

func TestOrders(t *testing.T) {
	source := newInstance("shop")
	h := newPage(source, anyone(Change))
	require.Equal(t, http.StatusOK, post(h, Path+"/restart", `{"name":"shop"}`).Code)
	require.Equal(t, http.StatusOK, post(h, Path+"/detach", `{"pid":42}`).Code)
	require.Equal(t, []any{"shop", 42}, source.orders)

	w := post(h, Path+"/restart", `{"name":"none"}`)
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Equal(t, "there is no such application\n", w.Body.String())
	require.Equal(t, http.StatusBadRequest, post(h, Path+"/detach", `{"pid":`).Code)

	tooLong := `{"name":"` + strings.Repeat("x", maxOrder) + `"}`
	require.Equal(t, http.StatusBadRequest, post(h, Path+"/restart", tooLong).Code)
	require.Equal(t, http.StatusBadRequest, post(h, Path+"/restart", `{}`).Code)

	source.err = errors.New("the server is gone")
	w = post(h, Path+"/detach", `{"pid":43}`)
	require.Equal(t, http.StatusBadGateway, w.Code)
	require.Equal(t, "the server is gone\n", w.Body.String())
}

func TestOrdersOfOtherSitesAreRefused(t *testing.T) {
	source := newInstance("shop")
	h := newPage(source, anyone(Change))

	for name, change := range map[string][]func(*http.Request){
		"another site":   {header("Sec-Fetch-Site", "cross-site")},
		"another port":   {header("Sec-Fetch-Site", "same-site")},
		"another origin": {header("Sec-Fetch-Site", ""), header("Origin", "http://evil.example")},
		"a form":         {header("Content-Type", "application/x-www-form-urlencoded")},
		"a plain text":   {header("Content-Type", "text/plain")},
		"no type":        {header("Content-Type", "")},
	} {
		w := post(h, Path+"/restart", `{"name":"shop"}`, change...)
		require.Contains(t, []int{http.StatusForbidden, http.StatusUnsupportedMediaType}, w.Code, name)
		w = post(h, Path+"/detach", `{"pid":42}`, change...)
		require.Contains(t, []int{http.StatusForbidden, http.StatusUnsupportedMediaType}, w.Code, name)
	}

	require.Empty(t, source.orders)
}

func TestViewersWhoMayOnlyLookChangeNothing(t *testing.T) {
	source := newInstance("shop")
	h := newPage(source, anyone(Look))
	require.Equal(t, http.StatusUnauthorized, post(h, Path+"/restart", `{"name":"shop"}`).Code)
	require.Equal(t, http.StatusUnauthorized, post(h, Path+"/detach", `{"pid":42}`).Code)
	require.Equal(t, http.StatusUnauthorized, get(h, Path+"?sign-in").Code)
	require.Empty(t, source.orders)
}

func TestReports(t *testing.T) {
	source := newInstance("shop")
	source.failures = []passenger.FailedSpawn{failedStart("shop", "5f0c91ae")}
	h := newPage(source, anyone(Look))

	w := get(h, Path+"/failure?id=5f0c91ae")
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.Contains(t, w.Body.String(), `"summary":"no flask"`)
	require.Equal(t, http.StatusNotFound, get(h, Path+"/failure?id=00000000").Code)
	require.JSONEq(t, `{"stacks":"app.rb:12"}`, get(h, Path+"/incident?id=one").Body.String())

	w = get(h, Path+"/incident?id=two")
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Equal(t, "this incident is not known any more: only the last ones are kept\n", w.Body.String())
}
