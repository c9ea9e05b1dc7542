package browser

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/gopassenger/passenger/internal/dashboard"
	"github.com/stretchr/testify/require"
)

// await waits until an expression is true in the page.
func (b *browser) await(expression string) {
	b.Helper()
	require.Eventually(b, func() bool { return run(b, chromedp.Evaluate[bool](expression)) }, patience/2, patience/2000,
		expression)
}

const isLive = `document.getElementById("live")?.dataset.state === "live" &&
	document.querySelector("path.line")?.getAttribute("d") !== null`

// look opens a page of the dashboard, and waits until it is live.
func (b *browser) look(at string, v view) {
	b.Helper()
	b.open(at, v)
	b.await(isLive)
}

// noteViolations lets each page of b note what its policy has forbidden.
func (b *browser) noteViolations() {
	b.Helper()
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `window.violations = [];
			addEventListener("securitypolicyviolation", (e) => violations.push(e.violatedDirective))`,
	})
}

// requireClean fails if the browser complained, the policy has forbidden something, or something else than the page's
// own was asked for.
func (b *browser) requireClean(at string) {
	b.Helper()
	require.Empty(b, run(b, chromedp.Evaluate[[]string]("window.violations")))
	b.mu.Lock()
	defer b.mu.Unlock()

	require.Empty(b, b.errors)
	origin, _, _ := strings.Cut(at, dashboard.Path)
	require.NotEmpty(b, b.requests)

	for _, r := range b.requests {
		require.True(b, strings.HasPrefix(r, origin+dashboard.Path), r)
	}
}

func appPage(list, name string) string { return list + "/app?name=" + url.QueryEscape(name) }

func TestDashboardInEachWindow(t *testing.T) {
	source := play(12, 5)
	list := serveDashboard(t, source, dashboard.Change)
	b := openBrowser(t)
	b.noteViolations()

	for _, at := range []string{
		list,
		appPage(list, source.names[0]),
		appPage(list, source.names[6]),
		appPage(list, "no such"),
	} {
		for _, v := range append(views, view{768, 1024, "light"}) {
			b.look(at, v)

			if strings.Contains(at, "/app") {
				run(b, chromedp.Evaluate[bool](
					`document.querySelectorAll("details").forEach((d) => { d.open = true; }), true`))
				b.await(`[...document.querySelectorAll(".report")]
					.every((r) => r.firstChild && !r.textContent.includes("Loading"))`)
			}

			require.Empty(b, b.script("layout.js"), "%s, %s", at, v)
			require.Empty(b, b.script("contrast.js"), "%s, %s", at, v)
			b.requireClean(at)
		}
	}
}

func TestDashboardShowsWhatTheServerSays(t *testing.T) {
	source := play(9, 5)
	source.still = true
	list := serveDashboard(t, source, dashboard.Look)
	b := openBrowser(t)
	b.look(list, views[2])
	require.Equal(t, "9 applications", b.text("document.getElementById('count').textContent"))
	require.Equal(t, "1 application needs attention", b.text("document.getElementById('attention-title').textContent"))
	require.Contains(t, b.text("document.getElementById('attention').innerText"),
		"New release does not start: the application needs 'flask'")
	require.Equal(t, "d7Y2MA3f", b.text("document.getElementById('instance').textContent"))

	row := func(name string) string {
		return b.text(fmt.Sprintf(`[...document.querySelectorAll("#apps tr")]
			.find((r) => r.innerText.includes(%q)).innerText.replace(/\s+/g, " ")`, name))
	}
	require.Contains(t, row("/srv/archive"), "none 0/s – 0 – 5, 1 failed Sleeping")
	require.Contains(t, row("/srv/images"), "Requests wait")
	require.Contains(t, row("/srv/api"), "Restarting")

	b.look(appPage(list, source.names[0]), views[2])

	text := strings.Join(strings.Fields(b.text("document.body.innerText")), " ")
	for _, part := range []string{
		"/srv/shop (production) Serving rack · 3 restarts · this release for 9 h", "WebSockets and streams hold 2 of 25 slots.",
		"PID 4000 5 of 5 slots, 2 long Memory 102 MB", "GET /reports/2026/november shop.example · 8f0c91ae00 the response 4001",
		"POST /uploads shop.example · 8f0c91ae02 the client's body –", "GET /products/42 shop.example · 8f0c91ae03 a free process –",
		"the client to read the rest", "more of the response (79 KB so far)", "4 went well, 1 failed", "41, 2 failed",
		"request time 1, memory 3",
	} {
		require.Contains(t, text, part)
	}

	all := b.text("document.documentElement.outerHTML")
	require.NotContains(t, all, "canary", "queries are not shown")
	require.NotContains(t, text, "Detach")
	require.NotContains(t, text, "Restart …")

	run(b, chromedp.Evaluate[bool](`document.querySelectorAll("details").forEach((d) => { d.open = true; }), true`))
	b.await(`document.querySelectorAll(".report pre").length >= 4`)
	text = strings.Join(strings.Fields(b.text("document.getElementById('failures').innerText")), " ")
	require.Contains(t, text, "Failed step load application How it ended exit status 1")
	require.Contains(t, text, "ModuleNotFoundError: No module named 'flask'")

	text = strings.Join(strings.Fields(b.text("document.getElementById('incidents').innerText")), " ")
	for _, part := range []string{
		"Age 31 s Queued 2.0 ms", "Memory 118 MB", "thread 1 app.rb:12 in sleep app.rb:3 in call", "GET /slow started SELECT 1",
		"Waits in hrtimer_nanosleep",
	} {
		require.Contains(t, text, part)
	}
}

func TestDashboardIsSortedAndFiltered(t *testing.T) {
	source := play(9, 5)
	source.still = true
	list := serveDashboard(t, source, dashboard.Look)
	b := openBrowser(t)
	b.look(list, views[2])

	names := func() []string {
		return run(b, chromedp.Evaluate[[]string](`[...document.querySelectorAll("#apps th a")]
			.map((a) => a.textContent.replace(/^.srv.| .*/g, ""))`))
	}
	byName := []string{"api", "archive", "billing", "blog", "images", "mail", "search", "shop", "wiki"}
	require.Equal(t, byName, names())

	run(b, chromedp.Click("th.queue button"))
	require.Equal(t, "images", names()[0])
	require.Equal(t, "ascending", b.text("document.querySelector('th.queue').ariaSort"))
	require.Contains(t, b.text("location.search"), "sort=queue")

	run(b, chromedp.Click("th.name button"))
	run(b, chromedp.Click("th.name button"))
	require.Equal(t, "wiki", names()[0])

	run(b, chromedp.Click("#filter"))
	run(b, chromedp.KeyEvent("IMA"))
	require.Equal(t, []string{"images"}, names())
	require.Equal(t, "1 of 9 applications", b.text("document.getElementById('count').textContent"))
	run(b, chromedp.KeyEvent("x"))
	require.Equal(t, "No application is like that.", b.text("document.getElementById('empty').innerText"))
	run(b, chromedp.Evaluate[bool](`document.getElementById("filter").value = "", true`))
	run(b, chromedp.Click("#only-trouble"))
	require.Equal(t, []string{"images", "billing"}, names())
}

// focused says where the focus is, or that it is not to be seen.
const focused = `(() => {
	const e = document.activeElement, style = getComputedStyle(e);
	if (e !== document.body && e.id !== "main" && style.outlineStyle === "none") {
		return "focus is not to be seen: " + e.outerHTML;
	}

	return e.id || e.ariaLabel || e.textContent.trim() || e.value || e.tagName;
})()`

func (b *browser) press(keys string) string {
	b.Helper()
	run(b, chromedp.KeyEvent(keys))

	return b.text(focused)
}

func TestDashboardByKeyboardOnly(t *testing.T) {
	source := play(9, 2)
	source.still = true
	list := serveDashboard(t, source, dashboard.Change)
	b := openBrowser(t)
	b.look(list, views[0])

	order := make([]string, 0, 16)
	for range 16 {
		order = append(order, b.press(kb.Tab))
	}

	require.Equal(t, []string{
		"Skip to the content", "Passenger", "/srv/billing (production)", "filter", "only-trouble", "Application", "Processes",
		"Requests", "p95", "Waiting", "Memory", "Restarts", "State", "/srv/api (production)", "/srv/archive (production)",
		"/srv/billing (production)",
	}, order)

	b.open(appPage(list, source.names[0]), views[0])
	b.await(isLive)
	require.Equal(t, "Skip to the content", b.press(kb.Tab))
	require.Equal(t, "main", b.press(kb.Enter))
	require.Equal(t, "All applications", b.press(kb.Tab))
	require.Equal(t, "restart", b.press(kb.Tab))

	require.Equal(t, "Cancel", b.press(kb.Enter), "the harmless choice has the focus")
	require.Equal(t, "restart", b.press(kb.Escape))
	b.press(kb.Enter)
	require.Equal(t, "restart", b.press(kb.Enter))
	require.Empty(t, source.ordered().restarted)
	b.press(kb.Enter)
	require.Equal(t, "confirm-yes", b.press(kb.Tab))
	b.press(kb.Enter)
	b.await(`document.getElementById("news").textContent === "The restart has begun."`)
	require.Equal(t, source.names[:1], source.ordered().restarted)

	require.Equal(t, "60", b.press(kb.Tab), "the chosen span")
	require.Equal(t, "15", b.press(kb.ArrowLeft))
	require.Equal(t, "cursor", b.press(kb.Tab))
	require.Equal(t, "now", b.text("document.getElementById('cursor-time').textContent"))
	b.press(kb.ArrowLeft)
	require.Regexp(t, `^\d\d:\d\d:\d\d$`, b.text("document.getElementById('cursor-time').textContent"))
	require.Regexp(t, `^\d\d:\d\d:\d\d: all \d+/s, with an error .*; p50 \d+ ms, p95 .*; .*$`,
		b.text("document.getElementById('cursor').ariaValueText"))
	b.press(kb.End)
	require.Equal(t, "now", b.text("document.getElementById('cursor-time').textContent"))

	require.Equal(t, "Detach process 4000 …", b.press(kb.Tab))
	require.Equal(t, "Detach process 4001 …", b.press(kb.Tab))
	b.press(kb.Enter)
	require.Contains(t, b.text("document.getElementById('confirm').innerText"), "Detach process 4001?")
	b.press(kb.Tab)
	b.press(kb.Enter)
	b.await(`document.getElementById("news").textContent === "Process 4001 is being detached."`)
	require.Equal(t, []int{4001}, source.ordered().detached)

	require.Contains(t, b.press(kb.Tab), "the application needs 'flask'")
	b.press(kb.Enter)
	b.await(`document.querySelectorAll("#failures pre").length === 2`)
	require.Equal(t, "What the application says", b.press(kb.Tab), "a text that scrolls has a focus")
}

// The event that a question was closed may come when the next one is open: each gets its own answer.
func TestDashboardAsksOneQuestionAtATime(t *testing.T) {
	source := play(2, 2)
	list := serveDashboard(t, source, dashboard.Change)
	b := openBrowser(t)
	b.look(appPage(list, source.names[0]), views[2])
	const ask = `(first, answer, second) => {
		const dialog = document.getElementById("confirm");
		document.querySelector(first).click();
		if (answer) document.getElementById(answer).click(); else dialog.close();
		document.querySelector(second).click();
		document.getElementById("confirm-yes").click();
		return dialog.open;
	}`
	asked := func(first, choice, second string) {
		t.Helper()
		require.False(t, run(b, chromedp.Evaluate[bool](fmt.Sprintf("(%s)(%q, %q, %q)", ask, first, choice, second))))
	}

	asked("#processes button", "", "#restart")
	b.await(`document.getElementById("news").textContent === "The restart has begun."`)
	require.Equal(t, orders{restarted: source.names[:1]}, source.ordered())

	asked("#restart", "", "#processes button")
	b.await(`document.getElementById("news").textContent.endsWith("is being detached.")`)
	require.Equal(t, orders{restarted: source.names[:1], detached: []int{4000}}, source.ordered())

	asked("#restart", "confirm-yes", "#processes button")
	require.Eventually(t, func() bool {
		all := source.ordered()
		return len(all.restarted) == 2 && len(all.detached) == 2
	}, patience/2, patience/2000)
}

func TestDashboardForScreenReaders(t *testing.T) {
	source := play(9, 3)
	source.still = true
	list := serveDashboard(t, source, dashboard.Change)
	b := openBrowser(t)

	for at, want := range map[string][]string{
		list: {
			"table: Applications, with figures that change each second", "columnheader: Application", "rowheader: /srv/shop (production) rack",
			"searchbox: Filter", "list: What the squares mean", "status: ", "banner: ", "main: ",
		},
		appPage(list, source.names[0]): {
			"image: Requests", "image: Response time", "slider: Look back", "radio: 15 min", "list: Processes", "table: Requests in flight",
			"navigation: Breadcrumb", "button: Detach process 4000 …", "group: How much of it", "region: Incidents",
		},
	} {
		b.look(at, views[2])

		nodes := map[string]bool{}
		for _, n := range call(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
			if n.Ignored || n.Role == nil {
				continue
			}

			var role, name string
			require.NoError(t, json.Unmarshal(n.Role.Value, &role))

			if n.Name != nil {
				require.NoError(t, json.Unmarshal(n.Name.Value, &name))
			}

			nodes[role+": "+name] = true
			switch role {
			case "button", "link", "slider", "radio", "checkbox", "searchbox", "table", "image", "columnheader":
				require.NotEmpty(t, name, "%s: a %s without a name", at, role)
			}
		}

		for _, node := range want {
			all := strings.Join(slices.Sorted(maps.Keys(nodes)), "\n")
			require.True(t, nodes[node], "%s has no %s:\n%s", at, node, all)
		}
	}
}

func TestDashboardSaysWhenItIsNotLive(t *testing.T) {
	source := play(3, 2)
	list := serveDashboard(t, source, dashboard.Look)
	b := openBrowser(t)
	b.look(list, views[0])

	fail := func(err error) {
		source.mu.Lock()
		defer source.mu.Unlock()
		source.err = err
	}
	fail(errors.New("the core <b>starts</b>"))
	b.await(`document.getElementById("live").dataset.state === "lost"`)
	require.Equal(t, "There is nothing new to show: the core <b>starts</b>",
		b.text("document.getElementById('trouble').innerText"))
	require.Equal(t, "The figures are not live any more.", b.text("document.getElementById('news').textContent"))
	require.Equal(t, "3 applications", b.text("document.getElementById('count').textContent"), "the last ones stay")

	fail(nil)
	b.await(isLive)
	require.Equal(t, "The figures are live again.", b.text("document.getElementById('news').textContent"))
	require.True(t, run(b, chromedp.Evaluate[bool]("document.getElementById('trouble').hidden")))
}

func TestDashboardWithReducedMotion(t *testing.T) {
	list := serveDashboard(t, play(3, 2), dashboard.Look)
	b := openBrowser(t)

	for motion, moves := range map[string]bool{"reduce": false, "no-preference": true} {
		b.look(list, views[0])
		call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: motion}},
		})
		require.Equal(t, moves, run(b, chromedp.Evaluate[bool]("document.getAnimations().length > 0")), motion)
	}
}

func TestTextsOfApplicationsAreOnlyTexts(t *testing.T) {
	const hostile = `<img src=/x onerror="document.title='taken'"><script>document.title='taken'</script>"'&amp;`
	source := play(3, 1)
	source.still = true
	source.names = []string{hostile, "__proto__", "constructor"}
	list := serveDashboard(t, source, dashboard.Change)
	b := openBrowser(t)
	b.noteViolations()
	b.look(list, views[2])
	require.Equal(t, []string{hostile, "__proto__", "constructor"}, run(b, chromedp.Evaluate[[]string](
		`[...document.querySelectorAll("#apps th a")].map((a) => a.textContent).sort((x) => x[0] === "<" ? -1 : 0)`)))
	b.requireClean(list)

	for _, name := range source.names {
		b.look(appPage(list, name), views[2])
		require.Equal(t, name, b.text("document.querySelector('h1').textContent"))
		require.Equal(t, name+" – Passenger", b.text("document.title"))
		require.Equal(t, 0, run(b, chromedp.Evaluate[int]("document.querySelectorAll('img, body script').length")))
		b.requireClean(list)
	}
}

func TestSignedInViewerHasButtonsOnEachPage(t *testing.T) {
	source := play(3, 2)
	list := serveBehind(t, source, &dashboard.Accounts{Open: true, Of: func(r *http.Request) dashboard.Access {
		if name, password, _ := r.BasicAuth(); name == "dashboard" && password == "secret" {
			return dashboard.Change
		}

		return dashboard.None
	}})
	b := openBrowser(t)
	b.noteViolations()
	b.look(list, views[2])
	require.Equal(t, list+"?sign-in", b.text("document.querySelector('a.sign-in:not([hidden])').href"))

	// As if it had been typed into the browser's own window.
	b.open(strings.Replace(list, "//", "//dashboard:secret@", 1)+"?sign-in", views[2])
	require.Equal(t, list, b.text("location.href"))
	b.look(list, views[2])
	require.True(t, run(b, chromedp.Evaluate[bool]("document.getElementById('sign-in').hidden")))
	run(b, chromedp.Click("#apps th a"))
	b.await("document.querySelectorAll('#processes button').length === 2")
	run(b, chromedp.Click("#restart"))
	run(b, chromedp.Click("#confirm-yes"))
	b.await(`document.getElementById("news").textContent === "The restart has begun."`)
	require.Len(t, source.ordered().restarted, 1)
}

// TestScreenshotsOfDashboard writes the pictures of docs/dashboard.md into the directory that PASSENGER_SCREENSHOTS
// names.
func TestScreenshotsOfDashboard(t *testing.T) {
	dir := os.Getenv("PASSENGER_SCREENSHOTS")
	if dir == "" {
		t.Skip("PASSENGER_SCREENSHOTS names no directory")
	}

	source := play(9, 5)
	list := serveDashboard(t, source, dashboard.Change)
	b := openBrowser(t)
	one := appPage(list, source.names[0])

	for name, at := range map[string]struct {
		url string
		v   view
	}{
		"dashboard.png":       {list, view{1280, 1000, "light"}},
		"dashboard-app.png":   {one, view{1280, 1360, "dark"}},
		"dashboard-phone.png": {list, view{360, 1200, "dark"}},
	} {
		b.look(at.url, at.v)
		b.await(`[...document.querySelectorAll("path.line")]
			.every((p) => p.getAttribute("d") !== null || p.getBoundingClientRect().top > innerHeight)`)

		picture := smaller(t, run(b, chromedp.CaptureScreenshot()))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), picture, 0o644))
	}
}
