// Package browser looks at the server and its error pages with a browser, as
// people do.
package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/stretchr/testify/require"
)

const patience = time.Minute

// browser is a Chromium of its own, with one tab.
type browser struct {
	*testing.T
	ctx context.Context

	mu     sync.Mutex
	errors []string
	// requests are what was asked for, loaded what of it a server
	// responded to.
	requests, loaded []string
}

// openBrowser starts a browser that ends with the test, as its profile does.
func openBrowser(t *testing.T, more ...chromedp.ExecAllocatorOption) *browser {
	t.Helper()
	path := interpreters.Find(t, "chromium", "chromium")
	profile := t.TempDir() // goes after the last process that could write to it
	marker := "PASSENGER_BROWSER_TEST=" + profile
	leakgate.Check(t, leakgate.Marker(marker))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	options := slices.Concat(chromedp.DefaultExecAllocatorOptions[:], []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.Env(marker, "TMPDIR="+profile),
		chromedp.Flag("no-sandbox", true), chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-crash-reporter", true),
		// Else a sandboxed frame has a process of its own, whose events are not the page's.
		chromedp.Flag("disable-features", "IsolateSandboxedIframes"),
	})
	ctx, stop := chromedp.NewExecAllocator(ctx, append(options, more...)...)
	t.Cleanup(stop)
	ctx, _ = chromedp.NewContext(ctx)
	b := &browser{T: t, ctx: ctx}
	require.NoError(t, chromedp.Listen(ctx, b.note))
	t.Cleanup(func() { require.NoError(t, chromedp.Cancel(ctx)) })
	call(b, network.Enable, network.EnableParams{})

	return b
}

// note runs in the loop that reads the browser's events.
func (b *browser) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()

	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *network.EventResponseReceived:
		if !strings.HasPrefix(e.Response.URL, "data:") {
			b.loaded = append(b.loaded, e.Response.URL)
		}
	case *log.EventEntryAdded:
		b.errors = append(b.errors, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *runtime.EventConsoleAPICalled:
		b.errors = append(b.errors, fmt.Sprintf("console.%s", e.Type))
	case *runtime.EventExceptionThrown:
		b.errors = append(b.errors, "exception: "+e.ExceptionDetails.Text)
	}
}

func call[P, R any](b *browser, command cdp.Command[P, R], params P) R {
	b.Helper()
	result, err := chromedp.Call(b.ctx, command, params)
	require.NoError(b, err)

	return result
}

func run[V any](b *browser, action chromedp.Action[V]) V {
	b.Helper()
	v, err := chromedp.Run(b.ctx, action)
	require.NoError(b, err)

	return v
}

// view is a window of a certain size with a colour scheme.
type view struct {
	width, height int64
	scheme        string
}

var views = []view{{360, 640, "light"}, {360, 640, "dark"}, {1280, 800, "light"}, {1280, 800, "dark"}}

func (v view) String() string { return fmt.Sprintf("%dx%d %s", v.width, v.height, v.scheme) }

// open shows the page at url.
func (b *browser) open(url string, v view) {
	b.Helper()
	b.mu.Lock()
	b.errors, b.requests, b.loaded = nil, nil, nil
	b.mu.Unlock()
	require.NoError(b, chromedp.Do(b.ctx, chromedp.EmulateViewport(v.width, v.height)))
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.scheme}},
	})
	require.NoError(b, chromedp.Do(b.ctx, chromedp.Navigate(url)))
}

// requireQuiet fails if the browser complained, or asked for more than pages.
func (b *browser) requireQuiet(pages ...string) {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()

	// The page itself is an error for the browser, too.
	complaints := slices.DeleteFunc(slices.Clone(b.errors), func(e string) bool {
		return slices.ContainsFunc(pages, func(page string) bool {
			return e == "error: Failed to load resource: the server responded with a status of 500 (Internal Server "+
				"Error) "+page
		})
	})
	require.Empty(b, complaints)
	require.Equal(b, pages, b.requests)
}

// script runs a file of testdata, which lists faults.
func (b *browser) script(name string) []string {
	b.Helper()
	source, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(b, err)

	return run(b, chromedp.Evaluate[[]string](string(source)))
}

func (b *browser) text(expression string) string {
	b.Helper()
	return run(b, chromedp.Evaluate[string](expression))
}
