package spawner

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

func TestFoldFramesLeavesTheApplicationsFrames(t *testing.T) {
	const dir = "/run/p/loaders"

	for name, test := range map[string]struct{ text, folded string }{
		"Python": {
			"Traceback (most recent call last):\n" +
				"  File \"/run/p/loaders/python/main.py\", line 20, in run_loader\n    loaded = load()\n            " +
				" ^^^^^^\n" +
				"  File \"/run/p/loaders/python/application.py\", line 23, in load\n    execute()\n" +
				"  File \"/srv/shop/passenger_wsgi.py\", line 1, in <module>\n    import flusk\n" +
				"ModuleNotFoundError: No module named 'flusk'\n",
			"Traceback (most recent call last):\n  … 2 frames of the loader\n" +
				"  File \"/srv/shop/passenger_wsgi.py\", line 1, in <module>\n    import flusk\n" +
				"ModuleNotFoundError: No module named 'flusk'\n",
		},
		"Ruby": {
			"/srv/shop/config.ru:1:in `require': no such file (LoadError)\n\tfrom /srv/shop/config.ru:1:in `block'\n" +
				"\tfrom /run/p/loaders/ruby/application.rb:9:in `load'\n\tfrom /run/p/loaders/ruby/rack.rb:3:in " +
				"`<main>'",
			"/srv/shop/config.ru:1:in `require': no such file (LoadError)\n\tfrom /srv/shop/config.ru:1:in " +
				"`block'\n\t… 2 frames of the loader",
		},
		"Node.js": {
			"Error: Cannot find module 'expres'\n    at Module._load (node:internal/modules/cjs/loader:1:2)\n" +
				"    at Object.<anonymous> (/srv/shop/app.js:1:1)\n    at load " +
				"(/run/p/loaders/node/application.js:3:4)\n    at node:internal/main:5:6",
			"Error: Cannot find module 'expres'\n    at Module._load (node:internal/modules/cjs/loader:1:2)\n" +
				"    at Object.<anonymous> (/srv/shop/app.js:1:1)\n    … 1 frame of the loader\n    at " +
				"node:internal/main:5:6",
		},
		"an error of the loader": {
			"/run/p/loaders/ruby/x.rb:1:in `x': no Rack (LoadError)\n",
			"/run/p/loaders/ruby/x.rb:1:in `x': no Rack (LoadError)\n",
		},
		"another directory":        {"\tfrom /run/p/loaders2/x.rb:1\n", "\tfrom /run/p/loaders2/x.rb:1\n"},
		"nothing of it, and empty": {"", ""},
	} {
		require.Equal(t, test.folded, foldFrames(test.text, dir), name)
	}
}

func TestReportIsBounded(t *testing.T) {
	e := &SpawnError{
		Summary: strings.Repeat("s", 5000),
		Env:     Env{"SECRET_KEY=hunter2hunter2"},
		Output:  strings.Repeat("line\n", 500) + "the last hunter2hunter2\n",
		Message: &loaderproto.Message{Text: "first\n" + strings.Repeat("é\n", 100<<10) + "last"},
	}
	r := e.Report()
	require.Equal(t, MaxReportedLines, strings.Count(r.Output, "\n")+1)
	require.True(t, strings.HasSuffix(r.Output, "the last (hidden)"), r.Output)
	require.True(t, r.OutputCut)
	require.True(t, strings.HasPrefix(r.Message, "first\n"))
	require.True(t, strings.HasSuffix(r.Message, "\nlast"))
	require.Contains(t, r.Message, "bytes left out")
	require.Less(t, len(r.Message)+len(r.Output)+len(r.Summary), 64<<10)

	r = (&SpawnError{Output: strings.Repeat("x", 100<<10)}).Report()
	require.Len(t, r.Output, maxReportedOutput)
	require.Equal(t, r.Output, r.Said())
	require.Equal(t, Report{}, (&SpawnError{}).Report())
}

func TestReportShowsHTMLAsText(t *testing.T) {
	e := &SpawnError{Message: &loaderproto.Message{
		HTML: true,
		Text: "<style>p{}</style><h1>No database</h1><p>a &lt; b<br>c</p>",
	}}
	require.Equal(t, "No database\na < b\nc", e.Report().Message)
}
