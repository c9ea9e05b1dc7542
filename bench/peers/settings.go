package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings are what the command line says.
type settings struct {
	scenarios    []string
	apps         []string
	peers        *regexp.Regexp
	connections  []int
	rounds       int
	duration     time.Duration
	ours         string
	before       string
	json         bool
	plot         string
	idleClients  int
	slowClients  int
	slowKind     string
	applications int
}

func parseSettings(args []string, output io.Writer) (*settings, error) {
	s := settings{
		scenarios:   []string{"hello"},
		apps:        slices.Clone(appTypes),
		connections: []int{16, 64},
		peers:       anything,
		slowKind:    slowBoth,
	}
	flags := s.flags()
	flags.SetOutput(output)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}

	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("%q is not an option: see -help", flags.Arg(0))
	case s.rounds < 1 || s.duration < time.Second:
		return nil, fmt.Errorf("%d rounds of %v cannot be measured: at least one, of a second or more", s.rounds,
			s.duration)
	case s.idleClients < 1 || s.slowClients < 2 || s.applications < 2:
		return nil, fmt.Errorf("-idle has to be at least 1, -slow and -applications at least 2")
	}

	return &s, nil
}

// flags are the options of the command.
func (s *settings) flags() *flag.FlagSet {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	all := slices.Sorted(maps.Keys(scenarios))
	flags.Func("scenario", "what to measure, one or `several` of "+strings.Join(all, ", ")+", or all (default hello)",
		func(v string) error {
			if v == "all" {
				v = strings.Join(slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == "check" }), ",")
			}

			s.scenarios = strings.Split(v, ",")

			return eachKnown(s.scenarios, all)
		})
	flags.Func("apps", "`kinds` of applications (default "+strings.Join(appTypes, ",")+")", func(v string) error {
		s.apps = strings.Split(v, ",")
		return eachKnown(s.apps, appTypes)
	})
	flags.Func("peers", "measure those whose name matches this `regexp`, beside ours (default all)",
		func(v string) (err error) {
			s.peers, err = regexp.Compile("(?i)" + v)
			return err
		})
	flags.Func("connections", "`numbers` of connections of wrk (default 16,64)", func(v string) (err error) {
		s.connections, err = numbers(v)
		return err
	})
	flags.IntVar(&s.rounds, "rounds", 5, "how `often` each is measured")
	flags.DurationVar(&s.duration, "duration", 5*time.Second, "how long each time, in whole seconds")
	flags.StringVar(&s.ours, "passenger", "", "the `program` that is ours (default: built from this checkout)")
	flags.StringVar(&s.before, "before", "", "the other `program` of ours, for the scenario check")
	flags.BoolVar(&s.json, "json", false, "write JSON, with the figures of each round")
	flags.StringVar(&s.plot, "plot", "", "write the requests a second as a picture into this `file`, in SVG")
	flags.IntVar(&s.idleClients, "idle", 5000, "`number` of clients in the scenario idle")
	flags.IntVar(&s.slowClients, "slow", 2000, "`number` of slow clients in the scenario slow")
	flags.Func("slow-kind", "what slow clients do, `one` of both, uploads, downloads (default both)",
		func(v string) error {
			s.slowKind = v
			return known(v, slowBoth, slowUploads, slowDownloads)
		})
	flags.IntVar(&s.applications, "applications", 100, "`number` of applications in the scenario apps100")

	return flags
}

func eachKnown(words, all []string) error {
	for _, word := range words {
		if err := known(word, all...); err != nil {
			return err
		}
	}

	return nil
}

func known(word string, all ...string) error {
	if !slices.Contains(all, word) {
		return fmt.Errorf("%q is none of %s", word, strings.Join(all, ", "))
	}

	return nil
}

func numbers(text string) ([]int, error) {
	var list []int
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a number above 0", word)
		}

		list = append(list, n)
	}

	return list, nil
}
