package browser

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/dashboard"
)

// await waits until an expression is true in the page.
func (b *browser) await(expression string) {
	b.Helper()
	require.Eventually(b, func() bool { return run(b, chromedp.Evaluate[bool](expression)) }, patience/2, patience/2000, expression)
}

const isLive = `document.getElementById("live")?.dataset.state === "live"`

// TestScreenshotsOfDashboard writes the pictures of docs/dashboard.md into the directory that PASSENGER_SCREENSHOTS
// names.
func TestScreenshotsOfDashboard(t *testing.T) {
	dir := os.Getenv("PASSENGER_SCREENSHOTS")
	if dir == "" {
		t.Skip("PASSENGER_SCREENSHOTS names no directory")
	}

	source := play(9, 5)
	page := serveDashboard(t, source, dashboard.Change)
	b := openBrowser(t)
	one := page + "/app?name=" + url.QueryEscape(source.names[0])

	for name, at := range map[string]struct {
		url string
		v   view
	}{
		"dashboard.png":           {page, view{1280, 1000, "light"}},
		"dashboard-dark.png":      {page, view{1280, 1000, "dark"}},
		"dashboard-app.png":       {one, view{1280, 1740, "light"}},
		"dashboard-app-dark.png":  {one, view{1280, 1740, "dark"}},
		"dashboard-phone.png":     {page, view{360, 1200, "dark"}},
		"dashboard-app-phone.png": {one, view{360, 3000, "light"}},
	} {
		b.open(at.url, at.v)
		b.await(isLive)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), run(b, chromedp.CaptureScreenshot()), 0o644))
	}
}
