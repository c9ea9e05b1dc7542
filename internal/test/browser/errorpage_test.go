package browser

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"github.com/stretchr/testify/require"
)

// serve returns the address of an application that cannot be started.
func serve(t *testing.T, factory spawner.Factory, app spawner.App) string {
	t.Helper()
	pool, err := passenger.New(passenger.Config{Spawner: factory})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	h, err := handler.New(pool, handler.Config{Options: passenger.Options{App: app}})
	require.NoError(t, err)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)

	return server.URL + "/"
}

// serveError is serve with an error that was made up.
func serveError(t *testing.T, e *spawner.SpawnError, environment string) string {
	t.Helper()
	factory := spawnertest.New(spawnertest.Script{BeforeSpawn: func(context.Context, int,
		spawner.App,
	) error {
		return e
	}})

	return serve(t, factory, spawner.App{Root: t.TempDir(), Environment: environment})
}

func TestErrorPages(t *testing.T) {
	b := openBrowser(t)

	plain := ordinary
	for name, url := range map[string]string{
		"ordinary": serveError(t, &ordinary, "development"),
		"long":     serveError(t, long(), "development"),
		"wild":     serveError(t, wild(), "development"),
		"short":    serveError(t, &short, "development"),
		"HTML":     serveError(t, inHTML("<h1>Broken</h1><p>"+strings.Repeat("word", 1000)), "development"),
		"plain":    serveError(t, &plain, "production"),
	} {
		for _, v := range views {
			b.open(url, v)
			require.Empty(b, b.script("layout.js"), "%s, %s", name, v)
			require.Empty(b, b.script("contrast.js"), "%s, %s", name, v)
			b.requireQuiet(url)
			title := "Web application could not be started"
			if name == "plain" {
				title = "500 Internal Server Error"
			}

			require.Equal(b, title, b.text("document.title"), name)
			require.Equal(b, title, b.text("document.querySelector('h1').innerText"), name)
		}
	}
}

func TestRealFailure(t *testing.T) {
	b := openBrowser(t)
	root := t.TempDir()
	factory, err := spawner.New(spawner.Config{Users: spawner.SameUser})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, factory.Close()) })
	url := serve(t, factory, spawner.App{
		Root:         root,
		Environment:  "development",
		Env:          map[string]string{"SHOP_TOKEN": "canary-of-the-token"},
		StartCommand: []string{"/bin/sh", "-c", `echo "no license for <b>$SHOP_TOKEN</b>"; exit 3`},
	})
	b.open(url, views[0])
	b.requireQuiet(url)

	text := strings.Join(strings.Fields(b.text("document.body.innerText")), " ")
	for _, part := range []string{
		"What happened The application ended before it was ready (exit status 3)", "What to do Its output",
		"Error ID: ",
		"start process performed", "wait for handshake or port failed", "load application not started",
		"no license for <b>(hidden)</b>", "it ended by itself: exit status 3", root, "/bin/sh -c ",
	} {
		require.Contains(b, text, part)
	}

	// Closed details are no part of innerText.
	all := b.text("document.body.textContent")
	for _, part := range []string{"SHOP_TOKEN\n(hidden)", "PASSENGER_APP_ENV\ndevelopment"} {
		require.Contains(b, all, part)
		require.NotContains(b, text, part)
	}

	require.NotContains(b, all, "canary-of-the-token")
}

func TestKeyboard(t *testing.T) {
	b := openBrowser(t)
	b.open(serveError(t, &ordinary, "development"), views[0])
	const focused = `(() => {
		const e = document.activeElement;
		if (e.tagName === "SUMMARY" && getComputedStyle(e).outlineStyle === "none") return "focus is not to be seen";
		return e.tagName === "SUMMARY" ? e.innerText.trim() : e.getAttribute("aria-labelledby") ?? e.tagName;
	})()`

	order := make([]string, 9)
	for i := range order {
		run(b, chromedp.KeyEvent(kb.Tab))
		order[i] = b.text(focused)
		if strings.HasPrefix(order[i], "Environment variables") {
			require.NotContains(b, b.text("document.body.innerText"), "PYTHONUNBUFFERED")
			run(b, chromedp.KeyEvent(kb.Enter))
			require.Contains(b, b.text("document.body.innerText"), "PYTHONUNBUFFERED")
			run(b, chromedp.KeyEvent(" "))
			require.NotContains(b, b.text("document.body.innerText"), "PYTHONUNBUFFERED")
		}
	}

	require.Equal(b, []string{
		"message", "How far the start came", "Output", "output", "Application", "Environment variables (8)",
		"Resource limits", "BODY", "message",
	}, order)
}

// The end of a long output is what one sees first.
func TestOutputBeginsAtItsEnd(t *testing.T) {
	b := openBrowser(t)
	b.open(serveError(t, long(), "development"), views[0])
	require.True(b, run(b, chromedp.Evaluate[bool](`(() => {
		const box = document.querySelector(".from-end"), text = box.firstElementChild;
		const bottom = (e) => e.getBoundingClientRect().bottom;

		return text.offsetHeight > 2 * box.clientHeight && bottom(text) <= bottom(box) + 1;
	})()`)))
}

func TestWithoutJavaScript(t *testing.T) {
	b := openBrowser(t)
	url := serveError(t, &ordinary, "development")
	b.open(url, views[2])
	with := b.text("document.body.innerText")
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.open(url, views[2])
	b.requireQuiet(url)
	require.Equal(b, with, b.text("document.body.innerText"))
}

// What the application says as HTML reaches neither the page nor anything else.
func TestHTMLStaysInItsFrame(t *testing.T) {
	b := openBrowser(t)
	reached := make(chan string, 100)
	canary := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter,
		r *http.Request,
	) {
		reached <- r.URL.Path
	}))
	t.Cleanup(canary.Close)
	url := serveError(t, inHTML(strings.ReplaceAll(`<h1 id=said>Said in HTML</h1>
		</iframe>"></iframe>&quot;&gt;
		<script>top.document.title = document.title = "taken"; fetch("CANARY/fetch")</script>
		<img src="CANARY/image" onerror="top.document.title='taken'"><link rel=stylesheet href="CANARY/style">
		<style>h1 { background: url(CANARY/background) } @import "CANARY/import";</style>
		<p style="background: url(CANARY/inline)">styled
		<meta http-equiv=refresh content="0; url=CANARY/refresh">
		<iframe src="CANARY/frame"></iframe><object data="CANARY/object"></object>
		<base href="CANARY/base">`, "CANARY", canary.URL)), "development")
	b.open(url, views[2])
	frames := call(b, page.GetFrameTree, cdp.Empty{}).FrameTree
	require.Len(b, frames.ChildFrames, 1)
	require.Equal(b, "about:srcdoc", frames.ChildFrames[0].Frame.URL)
	require.Equal(b, "null", b.text("String(document.querySelector('iframe').contentDocument)"), "an origin of its own")
	require.NotContains(b, b.text("document.body.innerText"), "Said in HTML")

	const foreign = "document.querySelectorAll('#said, body script, main img').length"
	require.Equal(b, 0, run(b, chromedp.Evaluate[int](foreign)))

	require.Equal(b, "Web application could not be started", b.text("document.title"))
	require.Equal(b, url, b.text("location.href"))
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Equal(b, []string{url}, b.loaded)
	require.Empty(b, reached)
}

// Nor does it when the user uses what it shows.
func TestHTMLLeadsNowhere(t *testing.T) {
	b := openBrowser(t)
	reached := make(chan string, 100)
	canary := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter,
		r *http.Request,
	) {
		reached <- r.URL.Path
	}))
	t.Cleanup(canary.Close)

	for message, complaint := range map[string]string{
		`<a href="CANARY/link">a link</a>`:                                                        "Content Security Policy",
		`<a href="CANARY/link" target=_top>a link</a>`:                                            "sandboxed",
		`<a href="CANARY/link" target=_blank>a link</a>`:                                          "sandboxed",
		`<form action="CANARY/form" target=_top><input type=submit value="a wide button"></form>`: "sandboxed",
	} {
		url := serveError(t, inHTML(strings.ReplaceAll(message, "CANARY", canary.URL)), "development")
		b.open(url, views[2])
		place := run(b, chromedp.Evaluate[[]float64](`(() => {
			document.querySelector("iframe").scrollIntoView();
			const box = document.querySelector("iframe").getBoundingClientRect();
			return [box.left + 40, box.top + 30];
		})()`))
		run(b, chromedp.MouseClickXY(place[0], place[1]))
		require.Eventually(b, func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return strings.Contains(strings.Join(b.errors, "\n"), complaint)
		}, patience, patience/1000, message)
		require.Equal(b, url, b.text("location.href"), message)
	}

	require.Empty(b, reached)
}

// TestScreenshots writes the pictures of docs/error-pages.md into the
// directory that PASSENGER_SCREENSHOTS names.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("PASSENGER_SCREENSHOTS")
	if dir == "" {
		t.Skip("PASSENGER_SCREENSHOTS names no directory")
	}

	b := openBrowser(t)

	url := serveError(t, &ordinary, "development")
	for name, v := range map[string]view{
		"error-page.png":       {1280, 1240, "light"},
		"error-page-phone.png": {360, 1388, "dark"},
	} {
		b.open(url, v)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), run(b, chromedp.CaptureScreenshot()), 0o644))
	}
}
