package options

import (
	"regexp"
	"strings"
	"sync"
)

// Row is the option's row of the table of documents for a scope, in Markdown: names, on the command
// line too except for parameters of requests, default and meaning.
func (o *Option) Row(scope Scope) string {
	cells := []string{code(o.Keys()...), o.flagCell(), defaultCell(o, scope), o.Meaning(scope)}
	switch scope {
	case Request:
		cells = append([]string{code(o.ParamNames()...)}, cells[2:]...)
	case Flying:
		cells = cells[1:]
	case Start, App:
	}

	return "| " + strings.Join(cells, " | ") + " |\n"
}

func (o *Option) flagCell() string {
	var names []string
	if o.Short != "" {
		names = append(names, "-"+o.Short)
	}

	names = append(names, "--"+o.FlagName())
	if o.OtherFlag != "" {
		names = append(names, "--"+o.OtherFlag)
	}

	return code(names...)
}

func code(words ...string) string { return "`" + strings.Join(words, "`, `") + "`" }

func defaultCell(o *Option, scope Scope) string {
	text := o.DefaultIn(scope)
	if text == "" || text == o.DefaultText {
		return text
	}

	return code(text)
}

// Meaning is the help, with the detail where no other document has it, in Markdown.
func (o *Option) Meaning(scope Scope) string {
	text := strings.ReplaceAll(o.meaning(), "`", "")
	if o.Detail != "" && (scope == Start || !o.In(Start)) {
		text += ". " + o.Detail
	}

	return text
}

var link = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`) })

// Plain is Markdown without its marks.
func Plain(markdown string) string {
	return strings.ReplaceAll(link().ReplaceAllString(markdown, "$1"), "`", "")
}
