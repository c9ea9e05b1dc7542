package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/options"
)

// otherFlags is the title of flags that are in no group of options.
const otherFlags = "Flags"

// flagGroup is a set of flags that help and manual pages show under a title.
type flagGroup struct {
	title string
	flags *pflag.FlagSet
}

// groupFlags returns the visible flags by groups: those for every day first, then the groups of the
// table of options, and what is no option at the end.
func groupFlags(flags *pflag.FlagSet) []flagGroup {
	titles := make([]string, 0, len(agent.Groups())+2)
	titles = append(titles, options.EverydayGroup)

	for _, g := range agent.Groups() {
		titles = append(titles, g.Title)
	}

	titles = append(titles, otherFlags)

	groups := make([]flagGroup, len(titles))
	for i, title := range titles {
		groups[i] = flagGroup{title, pflag.NewFlagSet(title, pflag.ContinueOnError)}
		groups[i].flags.SortFlags = flags.SortFlags
	}

	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}

		at := slices.Index(titles, strings.Join(f.Annotations[options.GroupAnnotation], ""))
		if at < 0 {
			at = len(titles) - 1
		}

		groups[at].flags.AddFlag(f)
	})

	return slices.DeleteFunc(groups, func(g flagGroup) bool { return !g.flags.HasFlags() })
}

// usageTemplate is cobra's template with flags in groups.
func usageTemplate(template string) string {
	cobra.AddTemplateFunc("flagGroups", func(flags *pflag.FlagSet) string {
		var b strings.Builder
		for _, group := range groupFlags(flags) {
			b.WriteString("\n" + group.title + ":\n" + group.flags.FlagUsages())
		}

		return strings.Trim(b.String(), "\n")
	})

	return strings.Replace(template, "Flags:\n{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}",
		"{{flagGroups .LocalFlags}}", 1)
}
