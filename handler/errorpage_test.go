package handler_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"html"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

const (
	envCanary    = "canary/of+the=environment"
	outputCanary = "canary of the output <script>alert(1)</script>"
)

var tags = regexp.MustCompile(`<[^>]*>`)

// broken is an error that has something everywhere.
func broken() *spawner.SpawnError {
	return &spawner.SpawnError{
		Category:      spawner.CategoryExplained,
		Summary:       "it is <broken>",
		Advice:        "Mend it.",
		ID:            "0badcafe",
		AppName:       "shop",
		AppRoot:       "/srv/shop",
		Environment:   "test",
		User:          "alice (uid 1000)",
		Command:       []string{"python", "-c", "it's"},
		Output:        outputCanary + "\nkey: " + envCanary,
		OutputDropped: 4711,
		ExitStatus:    "exit status 1",
		Limits:        "Max open files 1024",
		Message:       &loaderproto.Message{Text: "SyntaxError with " + envCanary},
		Env:           spawner.Env{"PLAIN=conspicuous", "SECRET_KEY_BASE=" + envCanary},
		Journey: spawner.Journey{
			{Name: spawner.StepStart, State: spawner.StepPerformed, Duration: 12 * time.Millisecond},
			{Name: spawner.StepLoad, State: spawner.StepFailed, Duration: 1500 * time.Millisecond},
			{Name: spawner.StepReady, State: spawner.StepNotStarted},
		},
	}
}

// serveError runs a test against an application that fails to start with e.
func serveError(t *testing.T, e *spawner.SpawnError, environment string, test func(s *site)) {
	t.Helper()
	cfg := handler.Config{}
	cfg.Options.App.Environment = environment
	serveConfig(t, spawnertest.Script{BeforeSpawn: func(context.Context, int, spawner.App) error { return e }}, cfg,
		test)
}

// page returns the page of e with details.
func page(t *testing.T, e *spawner.SpawnError) (body string) {
	t.Helper()
	serveError(t, e, "development", func(s *site) { _, body = s.do(http.MethodGet, "/", "") })
	return body
}

func TestPageOfASpawnError(t *testing.T) {
	_, body, _ := strings.Cut(page(t, broken()), "<body>")
	text := strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(body, " "))), " ")

	before := -1
	for _, part := range []string{
		"500 Internal Server Error", "Web application could not be started",
		"What happened It is <broken>", "What to do Mend it.", "Error ID: 0badcafe",
		"What the application says SyntaxError with (hidden)",
		"start process performed 12 ms", "load application failed 1.5 s", "read sockets not started",
		"Output 4711 bytes before this were dropped.", outputCanary + " key: (hidden)",
		"What failed the application's process itself", "How it ended it ended by itself: exit status 1",
		"Name shop", "Directory /srv/shop", "Environment test", `Command python -c 'it'\''s'`, "User alice (uid 1000)",
		"Environment variables (2)", "PLAIN conspicuous", "SECRET_KEY_BASE (hidden)",
		"Resource limits Max open files 1024",
	} {
		at := strings.Index(text, part)
		require.Greater(t, at, before, "%s is missing or in the wrong place:\n%s", part, text)
		before = at
	}

	preloader := broken()
	preloader.Preloader = true
	require.Contains(t, page(t, preloader), "the preloader, which")
}

func TestEmptySectionsOfThePage(t *testing.T) {
	p := page(t, &spawner.SpawnError{ID: "00000001", Summary: "the server is shutting down"})
	require.Contains(t, p, "The process printed nothing.")

	for _, absent := range []string{
		"What to do", "What the application says", "How far", "Environment variables",
		"Resource limits", "How it ended",
	} {
		require.NotContains(t, p, absent)
	}

	e := broken()
	e.Message.Text = ""
	require.Contains(t, page(t, e), "It reported an error without a text.")
}

// A client that may not see details sees none in any format, and no client sees the values of secret variables.
// Faults: R-20.
func TestErrorPageHidesDetailsInProduction(t *testing.T) {
	for _, environment := range []string{"", "production", "staging", "Development"} {
		serveError(t, broken(), environment, func(s *site) {
			for _, accept := range []string{"text/html", "application/json", "text/plain"} {
				resp, body := s.do(http.MethodGet, "/", "", "Accept", accept)
				require.Equal(s, http.StatusInternalServerError, resp.StatusCode)
				require.Contains(s, body, "0badcafe")

				for _, detail := range []string{
					"canary", "script>", "broken", "SyntaxError", "Mend", "srv", "alice", "python", "SECRET", "PLAIN",
					"conspicuous", "exit status", "load application", "4711", "Max open",
				} {
					require.NotContains(s, body, detail)
				}
			}
		})
	}

	serveError(t, broken(), "development", func(s *site) {
		for accept, shown := range map[string]string{
			"text/html":        html.EscapeString(outputCanary),
			"application/json": `canary of the output \u003cscript\u003e`,
			"text/plain":       outputCanary,
		} {
			resp, body := s.do(http.MethodGet, "/", "", "Accept", accept)
			require.Contains(s, resp.Header.Get("Content-Type"), accept)
			require.Contains(s, body, shown)
			require.NotContains(s, body, "environment<")
			require.NotContains(s, body, envCanary)
			require.NotContains(s, body, html.EscapeString(envCanary))
			if accept != "text/plain" {
				require.NotContains(s, body, "<script")
			}
		}
	})
}

// Whatever an application prints, the page has the same elements, and is text.
// Faults: A26.
func TestErrorPageEscapesApplicationOutput(t *testing.T) {
	harmless := broken()
	foreign := []*string{
		&harmless.Summary, &harmless.Advice, &harmless.AppName, &harmless.AppRoot, &harmless.Environment,
		&harmless.User,
		&harmless.Output, &harmless.ExitStatus, &harmless.Limits, &harmless.Message.Text, &harmless.Command[0],
		&harmless.Env[0],
	}
	fill := func(value string) string {
		for _, f := range foreign {
			*f = value
		}

		harmless.Journey[0].Name = spawner.StepName(value)

		return page(t, harmless)
	}
	elements := elementsOf(t, fill("harmless"))
	require.Contains(t, elements, "pre")

	var every strings.Builder
	for c := range 256 {
		every.WriteByte(byte(c))
	}

	for name, wild := range map[string]string{
		"every byte":      every.String(),
		"ANSI codes":      "\x1b[31mred\x1b[0m \x1b[2J\x1b[H \x1b]8;;http://x/\x1b\\link\x1b]8;;\x07",
		"a fake log line": "ok\n[ E 2026-01-01 00:00:00.0000 1/T1 age/Cor/App.cpp:1 ]: forged\r\n",
		"invalid UTF-8":   "\xff\xfe\xc3( \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82",
		"NUL":             "a\x00b",
		"overrides":       "\u202e\u2066\u200f\ufeff\u2028\ufffe\U000e0041",
		"tags":            `</pre></details></main></body></html><!-- <script> <![CDATA[ </title></style><style>*{} "><img src=x '><b`,
		"templates":       `{{.Env}} {{template "failure"}} %s ${x}`,
		"entities":        `&lt;&amp;&#0;&#x202e;&notanentity`,
	} {
		body := fill(wild)
		require.True(t, utf8.ValidString(body), name)
		require.Equal(t, elements, elementsOf(t, body), name)

		for _, c := range []string{"\x1b", "\x00", "\u202e", "\u2066", "\u2028", "\ufffe", "\x7f", "\u0085"} {
			require.NotContains(t, body, c, name)
		}
	}
}

// elementsOf returns the names of the page's elements, or fails if they are
// not properly nested or the page has characters that none may have.
func elementsOf(t *testing.T, page string) (names []string) {
	t.Helper()
	void := []string{"meta", "link", "br"}
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.Entity = false, xml.HTMLEntity

	var open []string
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			require.Empty(t, open)
			return names
		}

		require.NoError(t, err)

		switch e := token.(type) {
		case xml.StartElement:
			names = append(names, e.Name.Local)
			if !slices.Contains(void, e.Name.Local) {
				open = append(open, e.Name.Local)
			}
		case xml.EndElement:
			require.NotEmpty(t, open)
			require.Equal(t, open[len(open)-1], e.Name.Local)
			open = open[:len(open)-1]
		case xml.Comment:
			require.Fail(t, "a comment", "%s", e)
		}
	}
}

// What the application says as HTML is in a frame without any rights, and
// nothing of it is in the page.
func TestHTMLMessageIsInAFrame(t *testing.T) {
	e := broken()
	elements := elementsOf(t, page(t, e))
	e.Message = &loaderproto.Message{
		HTML: true,
		Text: `</iframe>'"></iframe>&quot;&gt;<script>alert(1)</script><p title='"'>said & done`,
	}
	body := page(t, e)
	i := slices.Index(elements, "section") + slices.Index(elements[slices.Index(elements, "section")+1:], "section") + 3
	require.Equal(t, slices.Concat(elements[:i], []string{"iframe"}, elements[i+2:]), elementsOf(t, body),
		"a frame is where the text was")
	_, rest, ok := strings.Cut(body, `<iframe sandbox title="What the application says" srcdoc="`)
	require.True(t, ok)
	document, _, ok := strings.Cut(rest, `"></iframe>`)
	require.True(t, ok)
	require.NotContains(t, document, "<")
	require.True(t, strings.HasSuffix(html.UnescapeString(document), "</style>"+e.Message.Text))
	require.NotContains(t, strings.Replace(body, document, "", 1), "said &")
}

func TestHeadersOfErrorPages(t *testing.T) {
	for _, environment := range []string{"development", "production"} {
		serveError(t, broken(), environment, func(s *site) {
			resp, body := s.do(http.MethodGet, "/", "")
			require.Equal(s, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
			require.Equal(s, "no-cache, no-store, must-revalidate", resp.Header.Get("Cache-Control"))
			require.Equal(s, "nosniff", resp.Header.Get("X-Content-Type-Options"))
			require.Equal(s, "no-referrer", resp.Header.Get("Referrer-Policy"))
			policy := resp.Header.Get("Content-Security-Policy")
			require.Regexp(s, `^default-src 'none'; img-src data:; style-src 'sha256-[^' ]+' 'sha256-[^' ]+'; `+
				`base-uri 'none'; form-action 'none'$`, policy)
			_, rest, _ := strings.Cut(body, "<style>")
			style, _, _ := strings.Cut(rest, "</style>")
			sum := sha256.Sum256([]byte(style))
			require.Contains(s, policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")

			head, none := s.do(http.MethodHead, "/", "")
			require.Empty(s, none)
			require.Equal(s, resp.StatusCode, head.StatusCode)
			require.Equal(s, resp.ContentLength, head.ContentLength)
			require.EqualValues(s, len(body), head.ContentLength)
			require.Equal(s, policy, head.Header.Get("Content-Security-Policy"))
		})
	}
}

func TestFormatOfErrors(t *testing.T) {
	const page, object, text = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"
	serveError(t, broken(), "production", func(s *site) {
		for _, c := range []struct{ accept, body, format string }{
			{"", "", page},
			{"*/*", "", page}, // curl
			// browsers
			{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", "", page},
			{"text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "", page}, // Java
			{"image/avif,image/webp,image/apng,image/*,*/*;q=0.8", "", page},
			{"application/json", "", object},
			{"application/json, text/plain, */*", "", object},              // axios
			{"application/json, text/javascript, */*; q=0.01", "", object}, // jQuery
			{"application/vnd.api+json", "", object},
			{"application/problem+json; charset=utf-8", "", object},
			{"APPLICATION/JSON", "", object},
			{"application/*", "", object},
			{"application/json;q=0.5, text/html;q=0.4", "", object},
			{"application/json;q=0.4, text/html;q=0.5", "", page},
			{"application/json;q=0.9, */*", "", page},
			{"text/html, application/json", "", page},
			{"application/json, text/html", "", object},
			{"text/html;q=0, application/json;q=0.1", "", object},
			{"*/*, text/html;q=0", "", object},
			{"text/plain", "", text},
			{"text/plain, */*;q=0.5", "", text},
			{"text/plain;q=0.5, text/html;q=0.1", "", text},
			{"text/*", "", page},
			{"text/*, text/html;q=0.1", "", text},
			{"image/png", "", page},
			{"application/json;q=0", "", page},
			{"application/json;q=7", "", page},
			{"application/json;q=nan", "", page},
			{"application/json;q=x, text/plain", "", text},
			{"nonsense/, ;;, ,\"", "", page},
			{"application/jsonp", "", page},
			{"application/json/text", "", page},
			{"*/*", "application/json", object}, // fetch, with an object as its body
			{"", "application/merge-patch+json; charset=utf-8", object},
			{"text/html, */*;q=0.8", "application/json", page},
			{"*/*", "application/x-www-form-urlencoded", page},
		} {
			header := []string{"Accept", c.accept, "Content-Type", c.body}
			if c.accept == "" {
				header = header[2:]
			}

			resp, _ := s.do(http.MethodPost, "/", "{}", header...)
			require.Equal(s, c.format, resp.Header.Get("Content-Type"), "%q with %q", c.accept, c.body)
		}

		resp, _ := s.do(http.MethodGet, "/", "", "Accept", "text/html;q=0.5", "Accept", "application/json")
		require.Equal(s, object, resp.Header.Get("Content-Type"), "two fields are one list")
	})
}

func TestJSONOfErrors(t *testing.T) {
	get := func(s *site) (object map[string]any) {
		resp, body := s.do(http.MethodGet, "/", "", "Accept", "application/json")
		require.Equal(s, http.StatusInternalServerError, resp.StatusCode)
		require.Equal(s, "application/json", resp.Header.Get("Content-Type"))
		require.NoError(s, json.Unmarshal([]byte(body), &object))

		return object
	}
	plain := map[string]any{
		"status": 500.0, "title": "Internal Server Error", "message": "The application could not be started.",
		"errorId": "0badcafe",
	}
	serveError(t, broken(), "production", func(s *site) { require.Equal(s, plain, get(s)) })
	serveError(t, broken(), "development", func(s *site) {
		object := get(s)
		details := object["details"]
		delete(object, "details")
		require.Equal(s, plain, object)
		require.Equal(s, map[string]any{
			"summary": "it is <broken>", "advice": "Mend it.", "category": "error reported by the application",
			"message": map[string]any{"text": "SyntaxError with (hidden)", "html": false},
			"journey": []any{
				map[string]any{"step": "start process", "state": "performed", "seconds": 0.012},
				map[string]any{"step": "load application", "state": "failed", "seconds": 1.5},
				map[string]any{"step": "read sockets", "state": "not started", "seconds": 0.0},
			},
			"output": outputCanary + "\nkey: (hidden)", "outputDropped": 4711.0, "preloader": false,
			"exitStatus":  "exit status 1",
			"application": "shop", "directory": "/srv/shop", "environment": "test",
			"command": []any{"python", "-c", "it's"}, "user": "alice (uid 1000)",
		}, details)
	})
	serveError(t, &spawner.SpawnError{ID: "00000001"}, "development", func(s *site) {
		details, ok := get(s)["details"].(map[string]any)
		require.True(s, ok)
		require.Equal(s, []any{}, details["journey"], "a list, even if it is empty")
	})
}

func TestTextOfErrors(t *testing.T) {
	serveError(t, broken(), "production", func(s *site) {
		_, body := s.do(http.MethodGet, "/", "", "Accept", "text/plain")
		require.Equal(s, "500 Internal Server Error\nThe application could not be started.\nError ID: 0badcafe\n", body)
	})
	serveError(t, broken(), "development", func(s *site) {
		_, body := s.do(http.MethodGet, "/", "", "Accept", "text/plain")
		require.Equal(s, `500 Internal Server Error
The application could not be started.
Error ID: 0badcafe

It is <broken>
Mend it.

What the application says:
SyntaxError with (hidden)

How far the start came:
- start process: performed (12 ms)
- load application: failed (1.5 s)
- read sockets: not started

Output:
(4711 bytes before this were dropped)
canary of the output <script>alert(1)</script>
key: (hidden)

What failed: the process itself
How it ended: it ended by itself: exit status 1
Directory: /srv/shop
Environment: test
Command: python -c 'it'\''s'
User: alice (uid 1000)
`, body)
	})
}

// Errors of requests have their text where details are on, and else a sentence.
func TestDetailsOfOtherErrors(t *testing.T) {
	for _, test := range []struct {
		option      handler.ErrorDetails
		environment string
		details     bool
	}{
		{handler.DetailsAlways, "production", true},
		{handler.DetailsInDevelopment, "development", true},
		{handler.DetailsInDevelopment, "staging", false},
		{handler.DetailsNever, "development", false},
	} {
		cfg := handler.Config{ErrorDetails: test.option}
		cfg.Options.App.BaseURI, cfg.Options.App.Environment = "/shop", test.environment
		serveConfig(t, spawnertest.Script{ServeConn: replying("nonsense <b>\x1b[31m\r\n\r\n").ServeConn}, cfg,
			func(s *site) {
				for target, reason := range map[string]string{
					"/":      "the request is not for this application",
					"/shop/": "is malformed",
				} {
					shown := require.NotContains
					if test.details {
						shown = require.Contains
					}

					resp, page := s.do(http.MethodGet, target, "")
					require.GreaterOrEqual(s, resp.StatusCode, http.StatusBadRequest)
					elementsOf(s.T, page)
					require.NotContains(s, page, "Error ID")
					shown(s, page, reason)
					_, object := s.do(http.MethodGet, target, "", "Accept", "application/json")
					shown(s, object, `"details":{"error":"`)
					shown(s, object, reason)
					_, text := s.do(http.MethodGet, target, "", "Accept", "text/plain")
					shown(s, text, reason)
				}
			})
	}
}
