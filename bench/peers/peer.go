package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// oursName is the peer that the others are compared to.
const oursName = "ours"

// peer is a way to serve an application.
type peer struct {
	name  string
	needs []string // programs
	// frontless reports whether the application is asked without anything in between.
	frontless bool
	commands  func(s *site) ([]command, error)
}

// site is where a peer serves an application.
type site struct {
	programs
	self string
	app  string // the application's directory
	dir  string // a directory for the peer's files
	addr string // host and port to listen on
	port string
}

// write writes one of the peer's files.
func (s *site) write(name, text string) (string, error) {
	path := filepath.Join(s.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// socket is the path of a Unix socket.
func (s *site) socket(name string) string { return filepath.Join(s.dir, name) }

// server is a peer that serves.
type server struct {
	name      string
	url       string
	frontless bool
	children  []*child
	// check reports why the application does not respond as it should.
	check func(ctx context.Context, url string) error
}

func (s *server) addr() string { return strings.TrimPrefix(s.url, "http://") }

// usage is CPU time, of the front and of the application.
type usage struct{ front, app time.Duration }

func (u usage) minus(o usage) usage { return usage{u.front - o.front, u.app - o.app} }

// serve starts a peer and waits until its application responds as it should.
func (b *bench) serve(ctx context.Context, p *peer, app string) (*server, error) {
	// A short name: the paths of Unix sockets below it are limited.
	b.served++
	dir := filepath.Join(b.dir, strconv.Itoa(b.served))
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // G301: servers that become another user have to get in
		return nil, err
	}

	addr, port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}

	s := &site{
		programs: b.programs,
		self:     b.self,
		app:      filepath.Join(b.dir, "apps", app),
		dir:      dir,
		addr:     addr,
		port:     port,
	}
	commands, err := p.commands(s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}

	running := &server{
		name:      p.name,
		url:       "http://" + addr,
		frontless: p.frontless,
		check:     checkResponses,
	}
	if app == wikiApp {
		running.check = checkWiki
	}

	for _, c := range commands {
		c.env = append(c.env, "HOME="+dir, "TMPDIR="+dir)
		if c.dir == "" {
			c.dir = s.app
		}

		started, err := c.start(ctx, b.self, b.dir)
		if err != nil {
			running.end()
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}

		running.children = append(running.children, started)
	}

	if err := running.await(ctx); err != nil {
		running.end()
		return nil, err
	}

	return running, nil
}

// await waits until the application responds as it should: of several
// processes some may be later than others.
func (s *server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()

	for {
		err := s.check(ctx, s.url)
		if err == nil {
			return nil
		}

		for _, c := range s.children {
			select {
			case <-c.done:
				return fmt.Errorf("%s did not start: %s", s.name, c.complaint())
			default:
			}
		}

		if sleep(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("%s does not serve the application: %w: %s", s.name, err, s.children[0].complaint())
		}
	}
}

// end ends all of its processes.
func (s *server) end() {
	for _, c := range s.children {
		c.stop()
	}

	for _, c := range s.children {
		c.end()
	}
}

// ended tells whether one of its programs is no more.
func (s *server) ended() bool {
	for _, c := range s.children {
		select {
		case <-c.done:
			return true
		default:
		}
	}

	return false
}

// each calls f for each of its processes.
func (s *server) each(f func(p process, front bool) error) error {
	all, err := processes()
	if err != nil {
		return err
	}

	for _, c := range s.children {
		for _, p := range all.below(c.cmd.Process.Pid) {
			if err := f(p, c.front != nil && c.front.MatchString(p.title())); err != nil {
				return err
			}
		}
	}

	return nil
}

func (s *server) usage() (usage, error) {
	var sum usage
	err := s.each(func(p process, front bool) error {
		if front {
			sum.front += p.cpu
		} else {
			sum.app += p.cpu
		}

		return nil
	})

	return sum, err
}

// frontRSS is the memory of the front.
func (s *server) frontRSS() (int64, error) {
	var sum int64
	err := s.each(func(p process, front bool) error {
		if !front {
			return nil
		}

		rss, err := p.rss()
		sum += rss

		return err
	})

	return sum, err
}
