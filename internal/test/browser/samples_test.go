package browser

import (
	"fmt"
	"strings"
	"time"

	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/spawner"
)

const limits = `Limit                     Soft Limit           Hard Limit           Units
Max cpu time              3600                 unlimited            seconds
Max file size             1073741824           unlimited            bytes
Max stack size            8388608              unlimited            bytes
Max processes             15381                30762                processes
Max open files            1024                 524288               files
Max address space         8589934592           unlimited            bytes
`

// ordinary is an error as they happen every day.
var ordinary = spawner.SpawnError{
	Category: spawner.CategoryExplained,
	Summary:  "the application needs 'flask', which is not installed",
	Advice: "Install the application's dependencies (pip install, npm install, bundle install) for the interpreter " +
		"and the virtual " +
		"environment that it is run with: /srv/shop/venv/bin/python.",
	ID:          "5f0c91ae",
	AppName:     "shop",
	AppRoot:     "/srv/shop",
	Environment: "development",
	User:        "shop (uid 1001), gid 1001",
	Command:     []string{"/srv/shop/venv/bin/python", "/run/passenger/loaders/python/wsgi_loader.py"},
	ExitStatus:  "exit status 1",
	Message: &loaderproto.Message{Text: "Traceback (most recent call last):\n" +
		"  File \"/srv/shop/passenger_wsgi.py\", line 3, in <module>\n    from shop.web import application\n" +
		"  File \"/srv/shop/shop/web.py\", line 1, in <module>\n    from flask import Flask\n" +
		"ModuleNotFoundError: No module named 'flask'\n"},
	Output: "\x1b[36mINFO\x1b[0m  reading /srv/shop/shop.toml\n\x1b[36mINFO\x1b[0m  database " +
		"postgres://shop:correct-horse@db.internal/shop\n",
	Env: spawner.Env{
		"HOME=/home/shop", "LANG=C.UTF-8", "PATH=/srv/shop/venv/bin:/usr/local/bin:/usr/bin:/bin", "PYTHONUNBUFFERED=1",
		"DATABASE_URL=postgres://shop:correct-horse@db.internal/shop", "SECRET_KEY=d41d8cd98f00b204e9800998ecf8427e",
		"PASSENGER_APP_ENV=development", "REDIS_URL=redis://:battery-staple@cache.internal:6379/0",
	},
	Limits: limits,
	Journey: spawner.Journey{
		{Name: spawner.StepPrepare, State: spawner.StepPerformed, Duration: 3 * time.Millisecond},
		{Name: spawner.StepStart, State: spawner.StepPerformed, Duration: 1 * time.Millisecond},
		{Name: spawner.StepHandshake, State: spawner.StepPerformed, Duration: 38 * time.Millisecond},
		{Name: spawner.StepRequest, State: spawner.StepPerformed, Duration: 90 * time.Microsecond},
		{Name: spawner.StepLoad, State: spawner.StepFailed, Duration: 1240 * time.Millisecond},
		{Name: spawner.StepReady, State: spawner.StepNotStarted},
		{Name: spawner.StepCheck, State: spawner.StepNotStarted},
	},
}

// long has values that fit into no window.
func long() *spawner.SpawnError {
	e := ordinary
	word := strings.Repeat("abcdefghij", 100)
	e.Preloader = true
	e.Summary, e.Advice, e.AppName, e.AppRoot, e.Environment, e.User, e.ExitStatus = word, word+" "+word, word,
		"/"+word, word, word, word
	e.Command = []string{"/" + word, word, "two words", ""}
	e.Message = &loaderproto.Message{Text: word + "\n" + strings.Repeat("a line of a message\n", 200)}
	e.Output, e.OutputDropped = strings.Repeat(word+"\n", 100)+"the last line", 123456

	e.Env, e.Limits = nil, strings.Repeat(word+"\n", 3)
	for i := range 100 {
		e.Env = append(e.Env, fmt.Sprintf("VARIABLE_%d_%s=%s", i, word[:200], word))
	}

	e.Journey = spawner.Journey{
		{Name: spawner.StepName(word), State: spawner.StepPerformed, Duration: 1000 * time.Hour},
		{Name: spawner.StepLoad, State: spawner.StepInProgress},
		{Name: spawner.StepReady, State: spawner.StepFailed, Duration: time.Hour},
	}

	return &e
}

// wild has what terminals and browsers could take for commands.
func wild() *spawner.SpawnError {
	e := ordinary

	var noise strings.Builder
	for c := range 256 {
		noise.WriteByte(byte(c))
	}

	noise.WriteString("\x1b[31mred\x1b[0m \x1b]0;title\x07 \u202egnp.exe\u202c " +
		"</pre></main><script>document.title='taken'</script><img src=x onerror=alert(1)> \U0001F44D ")
	s := noise.String()
	e.Summary, e.Advice, e.AppName, e.AppRoot, e.Environment, e.User, e.Output, e.ExitStatus, e.Limits = s, s, s, s, s,
		s, s, s, s
	e.Command, e.Message = []string{s, s}, &loaderproto.Message{Text: s}
	e.Env = spawner.Env{"A=" + s, s + "=B", "no equals sign", "=", "SECRET=canary"}

	return &e
}

// inHTML is what an application says as HTML, with a canary for what it could
// reach with it.
func inHTML(text string) *spawner.SpawnError {
	e := ordinary
	e.Message = &loaderproto.Message{Text: text, HTML: true}
	return &e
}

// short has nothing but what every error has.
var short = spawner.SpawnError{
	ID:      "00000001",
	AppName: "/srv/shop",
	AppRoot: "/srv/shop",
	Summary: "the server is shutting down",
}
