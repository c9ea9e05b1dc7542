package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/test/printed"
)

const sampleLog = `time=1 level=INFO msg="from the shop" app="/srv/shop (production)" pid=1 stream=stdout
time=1 level=INFO msg="app=\"/srv/shop (production)\"" app=blog pid=2 stream=stdout
time=1 level=ERROR msg="cannot start" app="/srv/shop (production)"
  output:
  | Traceback
time=1 level=ERROR msg=other app=blog
  output:
  | of the blog
15:04:05 INFO restarting app="/srv/shop (production)"
shop[12] a line
blog[13] time=1 app="/srv/shop (production)"
shopping[12] another
{"time":"1","level":"INFO","app":"/srv/shop (production)","msg":"json"}
{"time":"1","level":"INFO","app":"blog","app_line":{"app":"/srv/shop (production)"}}
{"app":
===== Passenger web server started =====
`

func TestOnlyLinesOfTheApplication(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(path, []byte(sampleLog), 0o600))
	var out bytes.Buffer
	tail := &logTail{
		path:  path,
		lines: -1,
		out:   &out,
		only:  &appFilter{app: &agent.AppLog{Name: "/srv/shop (production)", Short: "shop"}},
	}
	require.NoError(t, tail.run(t.Context()))
	lines := strings.SplitAfter(sampleLog, "\n")
	require.Equal(t, lines[0]+strings.Join(lines[2:5], "")+lines[8]+lines[9]+lines[12], out.String())

	out.Reset()
	tail.lines = 2
	require.NoError(t, tail.run(t.Context()))
	require.Equal(t, lines[9]+lines[12], out.String())
}

func TestLinesOfCompanionsAreTheApplications(t *testing.T) {
	f := &appFilter{app: &agent.AppLog{Name: "/srv/shop (production)", Short: "shop"}}
	require.True(t, f.has("shop/sidekiq[12] at work\n"))
	require.True(t, f.has(`time=t level=INFO msg=x app="/srv/shop (production)" companion=sidekiq pid=12`+"\n"))
	require.False(t, f.has("shops/sidekiq[12] at work\n"))
	require.False(t, f.has("blog/shop[12] at work\n"))
}

func TestLastLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for _, test := range []struct {
		content string
		lines   int
		want    string
	}{
		{"", 3, ""},
		{"a\nb\nc\nd\n", 2, "c\nd\n"},
		{"a\nb\nc\nd", 2, "c\nd\n"},
		{"a\nb", 5, "a\nb\n"},
		{"a\nb\n", 0, ""},
		{"a\nb\n", -1, "a\nb\n"},
	} {
		require.NoError(t, os.WriteFile(path, []byte(test.content), 0o600))
		var out bytes.Buffer
		require.NoError(t, (&logTail{path: path, lines: test.lines, out: &out}).run(t.Context()))
		require.Equal(t, test.want, out.String(), "%+v", test)
	}
}

// Only what the window cuts is left out, and not the first line of the application that is whole.
func TestWindowCutsOneLine(t *testing.T) {
	shop := &appFilter{app: &agent.AppLog{Name: "shop", Short: "shop"}}
	path := filepath.Join(t.TempDir(), "log")

	for name, test := range map[string]struct {
		content string
		window  int64
		only    *appFilter
		want    string
	}{
		"within a line":              {"shop[1] a\nshop[1] b\n", 12, nil, "shop[1] b\n"},
		"at the beginning of a line": {"shop[1] a\nshop[1] b\n", 10, nil, "shop[1] b\n"},
		"within another's line":      {"blog[1] a\nblog[1] b\nshop[1] c\n", 25, shop, "shop[1] c\n"},
		"within the application's":   {"shop[1] a\nblog[1] b\nshop[1] c\n", 25, shop, "shop[1] c\n"},
		"what looks like its own":    {"blog[1] shop[1] a\nshop[1] c\n", 20, shop, "shop[1] c\n"},
		"no line is whole":           {"shop[1] a long one\n", 5, shop, ""},
	} {
		require.NoError(t, os.WriteFile(path, []byte(test.content), 0o600))
		var out bytes.Buffer
		tail := &logTail{
			path:   path,
			lines:  3,
			window: test.window,
			only:   test.only,
			out:    &out,
		}
		require.NoError(t, tail.run(t.Context()))
		require.Equal(t, test.want, out.String(), name)
	}
}

// It follows a log that is moved away, and one that is cut.
func TestFollowsRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(path, []byte("one\ntwo\n"), 0o600))
	var out printed.Output
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- (&logTail{
			path:     path,
			lines:    1,
			follow:   true,
			interval: time.Millisecond,
			out:      &out,
		}).run(ctx)
	}()
	await := func(text string) {
		t.Helper()

		late := time.After(time.Minute)
		for {
			n, changed := out.Count(text)
			if n > 0 {
				return
			}

			select {
			case <-changed:
			case <-late:
				require.FailNow(t, "not shown: "+text, out.String())
			}
		}
	}
	add := func(text string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		require.NoError(t, err)
		_, err = f.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	await("two\n")
	add("thr")
	add("ee\n")
	await("three\n")
	require.NoError(t, os.Rename(path, path+".1"))
	add("four\n")
	await("four\n")
	require.NoError(t, os.Truncate(path, 0))
	add("5\n")
	await("5\n")
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Equal(t, "two\nthree\nfour\n5\n", out.String())
}

// From within an application, the name of another one is also that of a directory there that need not exist.
func TestNameOfAnotherApplicationIsMeant(t *testing.T) {
	here := t.TempDir()
	t.Chdir(here)

	all := []agent.AppLog{
		{Name: "here", Root: here, Short: "here"},
		{Name: "b (test)", Root: "/srv/blog", Short: "blog"},
	}
	found, err := chooseAppLog(all, "blog")
	require.NoError(t, err)
	require.Equal(t, &all[1], found)
	found, err = chooseAppLog(all, ".")
	require.NoError(t, err)
	require.Equal(t, &all[0], found)
}

func TestLogsThatCannotBeShown(t *testing.T) {
	dir := t.TempDir()
	require.ErrorContains(t, (&logTail{path: dir}).run(t.Context()), "is no regular file")
	require.ErrorContains(t, (&logTail{path: dir + "/none"}).run(t.Context()),
		"does not exist: it was removed or moved away, and 'passenger reopen-logs' makes another one")
}

func TestWhichApplicationIsMeant(t *testing.T) {
	all := []agent.AppLog{
		{Name: "/srv/shop (production)", Root: "/srv/shop", Short: "shop"},
		{Name: "/srv/shop (staging)", Root: "/srv/shop", Short: "shop"},
		{Name: "blog", Root: "/srv/blog/current", Short: "blog", File: "/var/log/blog.log"},
	}
	for _, name := range []string{"blog", "/srv/blog/current", "/srv/blog/current/", "/srv/blog"} {
		found, err := chooseAppLog(all, name)
		require.NoError(t, err)
		require.Equal(t, &all[2], found)
	}

	found, err := chooseAppLog(all, "/srv/shop (staging)")
	require.NoError(t, err)
	require.Equal(t, &all[1], found)
	_, err = chooseAppLog(all, "shop")
	require.ErrorContains(t, err, "may be several applications")

	// Directories that begin like others, or are within them.
	all = slices.Concat(all, []agent.AppLog{
		{Name: "/srv/blog/current2 (production)", Root: "/srv/blog/current2", Short: "current2"},
		{Name: "/srv/blog/current/admin (production)", Root: "/srv/blog/current/admin", Short: "admin"},
	})

	for name, root := range map[string]string{
		"/srv/blog/current":            "/srv/blog/current",
		"/srv/blog/current/":           "/srv/blog/current",
		"/srv/blog/current/app":        "/srv/blog/current",
		"/srv/blog/current2":           "/srv/blog/current2",
		"/srv/blog/current/admin":      "/srv/blog/current/admin",
		"/srv/blog/current/admin/app/": "/srv/blog/current/admin",
	} {
		found, err := chooseAppLog(all, name)
		require.NoError(t, err, name)
		require.Equal(t, root, found.Root, name)
	}

	_, err = chooseAppLog(all, "/srv/blog")
	require.ErrorContains(t, err, "may be several applications")
	_, err = chooseAppLog(all, "wiki")
	require.ErrorContains(t, err, "there is no application 'wiki'. The instance has:\n  /srv/shop (production)")
}
