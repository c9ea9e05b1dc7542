package main

import (
	"go/parser"
	"go/token"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWordsOfCommentsAreFound(t *testing.T) {
	const src = `// Package p sends an answer to nobody.
package p

// answer cannot be told, and
// goes
// on.
func answer() string { return "nobody is told anew" } // Whom it belongs to.

type T struct {
	// Limit bounds it; 0: no limit.
	Limit int // nil: none
	/* So many
	bytes. */
	N int //nolint:unused // somebody reads it
	// Busy: it has a request.
	Busy bool
	// Idle says that it has none.
	Idle bool
	// Done reports whether all is sent. Port 0: is not meant, but 1; 10: is.
	Done bool
}

// full says whether there is room.
func full() bool { return true }

// fail says whether there was an error.
func fail() error { return nil }
`
	require.Equal(t, []place{
		{1, "answer"},
		{1, "nobody"},
		{4, "answer"},
		{4, "be told"},
		{5, "goes on"},
		{7, "Whom"},
		{10, "0:"},
		{11, "nil:"},
		{12, "So many bytes"},
		{14, "somebody"},
		{15, "Busy:"},
		{17, "Idle says that"},
		{23, "full says whether"},
	}, parse(t, src))
}

func TestRightUsesOfWordsAreNone(t *testing.T) {
	for name, src := range map[string]string{
		"a question": "// ask returns the\n// answer to a question.\npackage p",
		"a dialog":   "// The question was asked before: its answer comes.\npackage p",
		"a user":     "// It runs as the\n// user nobody.\npackage p",
		"a word":     "// unanswered, manewer and 127.0.0.1:0: others.\npackage p",
		"responses":  "// A response; zero means none, and nil means any.\npackage p",
		"a label":    "package p\n\ntype t struct {\n\t// is reports whether: see below.\n\tis bool\n}",
		"more":       "package p\n\n// both says whether it is, and why.\nfunc both() (bool, error) { return false, nil }",
	} {
		t.Run(name, func(t *testing.T) { require.Empty(t, parse(t, src)) })
	}

	require.Equal(t, []place{{2, "answer"}}, parse(t, "// A question.\n// An answer.\npackage p"), "one sentence each")
}

func TestWordsOfMarkdownAreThoseOfItsProse(t *testing.T) {
	const src = "# Nobody\n" +
		"The `answer` is told\n" +
		"```\n" +
		"answer\n" +
		"```\n" +
		"to [whom](answer.md), | 0: none |\n" +
		"~~~ text\n" +
		"nobody\n" +
		"```\n" +
		"~~~\n" +
		"    anew\n"
	require.Equal(t, []place{{1, "Nobody"}, {2, "is told"}, {6, "whom"}, {6, "0:"}, {11, "anew"}}, wordsOfMarkdown(src))
}

func parse(t *testing.T, src string) []place {
	t.Helper()

	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "p.go", src, parser.ParseComments)
	require.NoError(t, err)

	return wordsOfComments(set, file)
}

// textstats -list names the places.
func TestTheTreeHasNoneOfTheWords(t *testing.T) {
	for _, tests := range []bool{false, true} {
		var total stats
		require.NoError(t, walk("../..", tests, false, &total))
		require.Greater(t, total.files, 500)
		require.Zero(t, total.words, "go run ./scripts/textstats -list, and with -tests")
	}
}
