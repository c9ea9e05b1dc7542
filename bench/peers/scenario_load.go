package main

import (
	"context"
	"path/filepath"
	"strings"
)

// appTypes are the kinds of applications there are peers for.
var appTypes = []string{"node", "wsgi", "asgi", "rack", "php"}

func peersOf(app string) []peer {
	switch app {
	case "node":
		return nodePeers()
	case "wsgi":
		return wsgiPeers()
	case "asgi":
		return asgiPeers()
	case "php", wikiApp:
		return phpPeers()
	default:
		return rackPeers()
	}
}

func hello(ctx context.Context, b *bench, found func(section) error) error {
	return b.compareAll(ctx, "hello", target{path: "/"}, found)
}

func large(ctx context.Context, b *bench, found func(section) error) error {
	return b.compareAll(ctx, "64k", target{path: "/64k"}, found)
}

func uploads(ctx context.Context, b *bench, found func(section) error) error {
	return b.compareAll(ctx, "post1m", target{path: "/upload", script: b.script("upload.lua")}, found)
}

func (b *bench) script(name string) string { return filepath.Join(b.dir, "apps", "wrk", name) }

// compareAll compares the peers of each kind of application.
func (b *bench) compareAll(ctx context.Context, scenario string, how target, found func(section) error) error {
	for _, app := range b.apps {
		s, err := b.compareApp(ctx, scenario, app, how)
		if err != nil {
			return err
		}

		if err := found(s); err != nil {
			return err
		}
	}

	return nil
}

func (b *bench) compareApp(ctx context.Context, scenario, app string, how target) (section, error) {
	what := scenario + ", " + app
	result := comparison{base: oursName}

	var targets []target
	for _, p := range b.installed(app, peersOf(app)) {
		b.progress.say("%s: %s starts", what, p.name)

		server, err := b.serve(ctx, &p, app)
		switch {
		case ctx.Err() != nil:
			return section{}, context.Cause(ctx)
		case err != nil && p.name == oursName:
			return section{}, err
		case err != nil:
			b.progress.warn("%s: skipped: %v", what, err)
			result.Skipped = append(result.Skipped, p.name)
			continue
		}

		defer server.end()
		t := how
		t.name, t.server = p.name, server
		targets = append(targets, t)
	}

	rows, err := b.compare(ctx, what, targets)
	result.Rows = rows

	return section{Title: what, Table: &result}, err
}

// installed are those of the wanted peers that can be measured here.
func (b *bench) installed(app string, peers []peer) []peer {
	found := make([]peer, 0, len(peers))
	for _, p := range peers {
		if p.name != oursName && !b.peers.MatchString(p.name) {
			continue
		}

		if missing := b.missing(p.needs); len(missing) > 0 {
			b.progress.warn("%s: skipped: %s: not installed: %s", app, p.name, strings.Join(missing, ", "))
			continue
		}

		found = append(found, p)
	}

	return found
}
