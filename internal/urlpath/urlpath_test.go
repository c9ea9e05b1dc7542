package urlpath_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/urlpath"
)

func TestBaseIsCutOffByDecodedSegments(t *testing.T) {
	t.Parallel()

	const outside = "outside"
	for base, rows := range map[string]map[string]string{
		"":  {"": "", "/": "/", "/a/b": "/a/b", "//a": "//a", "*": outside},
		"/": {"/": "/", "/a": "/a"},
		"/blog": {
			"/blog": "", "/blog/": "/", "/blog/x%2Fy": "/x%2Fy", "/bl%6Fg": "", "/bl%6fg/x": "/x",
			"/%62%6C%6F%67/": "/",
			"/blogger":       outside, "/": outside, "": outside, "/Blog": outside, "/blo": outside,
			"/blog%2Fx":   outside,
			"/blog%":      outside,
			"/blog;v=1/x": outside, "/blog%3Bv": outside, "/x/../blog": outside, "/./blog": outside, "//blog": outside,
			"/blog//x": "//x", "/blog/../x": "/../x", "/blog/%2e%2e/x": "/%2e%2e/x", "/blog%20": outside,
			"/bl%256Fg": outside,
		},
		"/bl%6Fg/": {"/blog": "", "/bl%6Fg/x": "/x"},
		"/café shop": {
			"/caf%C3%A9%20shop/cart": "/cart", "/caf%c3%a9%20shop": "", "/caf\xc3\xa9%20shop/": "/",
			"/c%61f%C3%A9%20shop": "",
			"/caf%E9%20shop":      outside, "/caf%C3%A9+shop": outside, "/cafe%20shop": outside,
		},
		"/caf%C3%A9%20shop": {"/caf%C3%A9%20shop": "", "/caf%c3%a9%20shop/x": "/x"},
		"/a/b": {
			"/a/b": "", "/a/b/c": "/c", "/a%2Fb": outside, "/a%2fb/c": outside, "/a": outside,
			"/a//b": outside,
		},
		"/a%2Fb":   {"/a%2Fb": "", "/a%2fb/c": "/c", "/a/b": outside},
		"/100%25":  {"/100%25/x": "/x"},
		"/a;b":     {"/a;b/": "/", "/a%3Bb": "", "/a": outside},
		"/what%3F": {"/what%3F/x": "/x", "/what%3f": ""},
	} {
		b, err := urlpath.Parse(base)
		require.NoError(t, err, base)

		for path, want := range rows {
			below, ok := b.Cut(path)
			if !ok {
				below = outside
			}

			require.Equal(t, want, below, "%s below %s", path, base)
		}
	}
}

func TestBaseIsWrittenAsInURLs(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		"": "", "/": "", "//": "", "/shop": "/shop", "/shop/": "/shop", "/a/b//": "/a/b", "/bl%6Fg": "/blog",
		"/café shop": "/caf%C3%A9%20shop", "/caf%c3%a9%20shop": "/caf%C3%A9%20shop", "/a%2fb": "/a%2Fb",
		"/a;b,c@d": "/a;b,c@d",
		"/100%25":  "/100%25", "/a\"b": "/a%22b", "/...": "/...", "/.well-known": "/.well-known",
	} {
		b, err := urlpath.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, string(b), text)
	}
}

func TestBaseThatNoURLHasIsRefused(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		"shop": "begin with a slash", "café": "begin with a slash", " /shop": "begin with a slash",
		"http://x/shop": "begin with a slash",
		"/100%":         "percent sign that begins no escape: write it as %25", "/a%zz": "percent sign",
		"/a%2": "percent sign",
		"/a?b": "query or fragment", "/a#b": "query or fragment", "/a/../b": "write the path without it",
		"/./a":      "without it",
		"/a/%2e%2E": "without it", "/a%00": "control character", "/a\tb": "control character",
		"/a%0d%0a": "control character",
	} {
		_, err := urlpath.Parse(text)
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzBaseIsBelowItself(f *testing.F) {
	for _, text := range []string{"/shop", "/café shop", "/a%2Fb/;c", "/100%25", "//a//b"} {
		f.Add(text)
	}

	f.Fuzz(func(t *testing.T, text string) {
		b, err := urlpath.Parse(text)
		if err != nil {
			return
		}

		again, err := urlpath.Parse(string(b))
		require.NoError(t, err)
		require.Equal(t, b, again)
		below, ok := b.Cut(string(b) + "/x")
		require.True(t, ok)
		require.Equal(t, "/x", below)
	})
}
