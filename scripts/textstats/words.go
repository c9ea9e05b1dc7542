package main

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// place is where a text has a word of the style's list.
type place struct {
	line int
	word string
}

// styleWords finds words that comments and documents do not have: they hide who does what, or are not the field's.
// Those of several words may be split between lines.
var styleWords = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\banswer(?:s|ed|ing)?\b|\bnobody\b|\bsomebody\b|\bwhom\b|\banew\b|\bgoes\s+on\b|` +
		`\bso\s+many\s+bytes\b|\b(?:is|are|was|were|be|been|being)\s+told\b|(?:^|[.,;(|]\s)(?:0|nil|empty):\s`)
})

// predicateWords finds beginnings of a predicate's comment that are not "name reports whether".
var predicateWords = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\w+(?:\s+says\s+(?:that|whether)\b|:\s)`)
})

// exceptions are the right uses of words of the list.
var exceptions = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)` +
		`\buser\s+nobody\b|` + // a name that systems have
		`\bquestion[^.]*\banswers?\b|\banswers?\b[^.]*\bquestion`) // in one sentence, as of a dialog or the watchdog
})

// wordsOf returns the words of the list in a text, which begins on a line.
func wordsOf(text string, line int) []place {
	text = exceptions().ReplaceAllStringFunc(text, keepLines)

	found := styleWords().FindAllStringIndex(text, -1)

	places := make([]place, 0, len(found))
	for _, at := range found {
		word := strings.TrimLeft(text[at[0]:at[1]], ".,;(| \n")
		places = append(places, place{
			line: line + strings.Count(text[:at[1]-len(word)], "\n"),
			word: strings.Join(strings.Fields(word), " "),
		})
	}

	return places
}

// keepLines returns the line ends of a text.
func keepLines(text string) string { return strings.Repeat("\n", strings.Count(text, "\n")) }

// wordsOfComments returns the words of the list in a file's comments, and the comments of predicates that do not
// begin as they should. Identifiers and strings do not count.
func wordsOfComments(set *token.FileSet, file *ast.File) []place {
	var places []place
	for _, group := range file.Comments {
		places = append(places, wordsOf(commentText(group), set.Position(group.Pos()).Line)...)
	}

	ast.Inspect(file, func(n ast.Node) bool {
		doc := predicateDoc(n)
		if doc == nil {
			return true
		}

		if begin := predicateWords().FindString(commentText(doc)); begin != "" {
			places = append(places, place{line: set.Position(doc.Pos()).Line, word: strings.TrimSpace(begin)})
		}

		return true
	})

	slices.SortStableFunc(places, func(a, b place) int { return a.line - b.line })

	return places
}

// predicateDoc returns the doc comment of a field or function whose value is a bool, or nil.
func predicateDoc(n ast.Node) *ast.CommentGroup {
	isBool := func(t ast.Expr) bool {
		name, ok := t.(*ast.Ident)
		return ok && name.Name == "bool"
	}

	switch n := n.(type) {
	case *ast.Field:
		if isBool(n.Type) {
			return n.Doc
		}
	case *ast.FuncDecl:
		if r := n.Type.Results; r.NumFields() == 1 && isBool(r.List[0].Type) {
			return n.Doc
		}
	}

	return nil
}

// commentText returns what a comment says, line by line. Directives stay out, but not their reasons.
func commentText(group *ast.CommentGroup) string {
	lines := make([]string, 0, len(group.List))
	for _, c := range group.List {
		text, isLine := strings.CutPrefix(c.Text, "//")
		switch {
		case !isLine:
			text = strings.TrimSuffix(strings.TrimPrefix(text, "/*"), "*/")
		case strings.HasPrefix(text, "nolint:") || strings.HasPrefix(text, "go:"):
			_, text, _ = strings.Cut(text, " // ")
		}

		lines = append(lines, strings.TrimSpace(text))
	}

	return strings.Join(lines, "\n")
}

// markdownCode finds code in a line of Markdown, and targets of links.
var markdownCode = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile("`[^`]*`|\\]\\([^)]*\\)|<[^>]*>")
})

// wordsOfMarkdown returns the words of the list in the prose of a document.
func wordsOfMarkdown(src string) []place {
	lines := withoutFences(src)
	for i, l := range lines {
		lines[i] = markdownCode().ReplaceAllString(l, "")
	}

	return wordsOf(strings.Join(lines, "\n"), 1)
}

// withoutFences returns the lines of a document, those of code between fences empty.
func withoutFences(src string) []string {
	lines := strings.Split(src, "\n")

	fence := ""
	for i, l := range lines {
		trimmed := strings.TrimSpace(l)
		switch {
		case fence != "":
			if strings.HasPrefix(trimmed, fence) {
				fence = ""
			}

			lines[i] = ""
		case strings.HasPrefix(trimmed, "```"), strings.HasPrefix(trimmed, "~~~"):
			fence, lines[i] = trimmed[:3], ""
		}
	}

	return lines
}
