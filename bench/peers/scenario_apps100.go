package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
)

// manyApplications compares one application to one of many, and to many that
// are asked in turn.
func manyApplications(ctx context.Context, b *bench, found func(section) error) error {
	var servers []*server
	defer func() {
		for _, s := range servers {
			s.end()
		}
	}()

	for _, count := range []int{1, b.applications} {
		p := peer{name: plural(count), commands: func(s *site) ([]command, error) {
			argv := []string{s.self, "applications", s.addr, s.dir, strconv.Itoa(count)}
			return []command{{argv: argv, front: regexp.MustCompile(`^\S+ applications `)}}, nil
		}}
		b.progress.say("apps100: %s start", p.name)
		s, err := b.serve(ctx, &p, "")
		if err != nil {
			return err
		}

		servers = append(servers, s)
		for i := range count {
			if err := checkHost(ctx, s.url, applicationHost(i)); err != nil {
				return err
			}
		}
	}

	one, many := servers[0], servers[1]
	script, all := b.script("hosts.lua"), strconv.Itoa(b.applications)
	rows, err := b.compare(ctx, "apps100", []target{
		{name: one.name, server: one, script: script, args: []string{"1"}},
		{name: "one of " + all, server: many, script: script, args: []string{"1"}},
		{name: "each of " + all + " in turn", server: many, script: script, args: []string{all}},
	})
	if err != nil {
		return err
	}

	return found(section{
		Title: "apps100, small applications in Go with a process each",
		Table: &comparison{Rows: rows, base: one.name},
	})
}

func plural(count int) string {
	if count == 1 {
		return "1 application"
	}

	return fmt.Sprintf("%d applications", count)
}
