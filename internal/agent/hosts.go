package agent

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/urlpath"
)

// HostedApp is one of several applications of a server.
type HostedApp struct {
	// Hosts are the names that requests for it have; *.example.com is any name below
	// example.com. Nil means all names that no other application has.
	Hosts []string
	// BaseURI is the path that it is below; empty means all paths.
	BaseURI string
	// Config is that of the application. Its fields about the server are ignored.
	Config *Config
}

// each calls f for each application's configuration.
func (c *Config) each(f func(*Config)) {
	if len(c.Apps) == 0 {
		f(c)
	}

	for _, app := range c.Apps {
		f(app.Config)
	}
}

// validateApps finds what is wrong with the applications.
func (c *Config) validateApps() (errs []error) {
	if len(c.Apps) == 0 {
		return []error{errors.New("apps is empty: name at least one application, or leave it out")}
	}

	seen := map[string]string{}
	for _, app := range c.Apps {
		errs = append(errs, app.Config.Validate())
		hosts, err := app.hosts()
		if err != nil {
			errs = append(errs, fmt.Errorf("apps: the hosts of %s: %w", app.Config.Dir, err))
		}

		// The Validate of the application reports the error.
		base, _ := urlpath.Parse(app.BaseURI)
		for _, host := range hosts {
			address := host + string(base)
			if other, taken := seen[address]; taken {
				errs = append(errs, fmt.Errorf("apps: %s and %s both serve %q", other, app.Config.Dir,
					address))
			}

			seen[address] = app.Config.Dir
		}
	}

	return errs
}

// anyHost stands for all names that no application has.
const anyHost = ""

// Addresses says for people which requests are for the application.
func (a *HostedApp) Addresses() string {
	if len(a.Hosts) == 0 {
		return "all other hosts" + a.BaseURI
	}

	addresses := make([]string, len(a.Hosts))
	for i, host := range a.Hosts {
		addresses[i] = host + a.BaseURI
	}

	return strings.Join(addresses, ", ")
}

// hosts are those that it is asked for by, as requests have them, and anyHost if there
// are none.
func (a *HostedApp) hosts() (hosts []string, err error) {
	if len(a.Hosts) == 0 {
		return []string{anyHost}, nil
	}

	var errs []error
	for _, text := range a.Hosts {
		host, err := parseHost(text)
		if err != nil {
			errs = append(errs, err)
			continue
		}

		hosts = append(hosts, host)
	}

	return hosts, errors.Join(errs...)
}

// hosts serve several applications, by the host and the path of a request.
type hosts struct {
	apps []*oneApp
	// mounts are those of a host, those with longer paths first. Of *.example.com they are
	// under .example.com.
	mounts map[string][]mount
	// wildcards is true if any host is a wildcard.
	wildcards bool
}

type mount struct {
	base urlpath.Base
	app  http.Handler
}

func newHosts(
	c *Config, pool *passenger.Pool, shared *compressor, common handler.Config, lines *requestLog,
) (*hosts, error) {
	h := &hosts{mounts: map[string][]mount{}}

	// Of the server, and of all applications.
	all := []*Config{c}
	c.each(func(app *Config) { all = append(all, app) })

	for i := range c.Apps {
		app := &c.Apps[i]
		requests := app.Config.handler()
		requests.Logger, requests.AccessLog, requests.Buffers = common.Logger, common.AccessLog, common.Buffers
		one, err := newOneApp(app.Config, all, pool, shared, requests, lines)
		if err != nil {
			return nil, err
		}

		h.apps = append(h.apps, one)
		names, err := app.hosts()
		if err != nil {
			return nil, err
		}

		base, err := urlpath.Parse(app.BaseURI)
		if err != nil {
			return nil, err
		}

		for _, name := range names {
			// Without the asterisk, a wildcard is found by the rest of a name, which begins with a dot.
			name, wild := strings.CutPrefix(name, "*")
			h.wildcards = h.wildcards || wild
			h.mounts[name] = append(h.mounts[name], mount{base, one})
		}
	}

	// The first path that fits must be the longest.
	for _, mounts := range h.mounts {
		slices.SortStableFunc(mounts, func(a, b mount) int { return cmp.Compare(len(b.base), len(a.base)) })
	}

	return h, nil
}

func (h *hosts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, _, _ := strings.Cut(urlpath.Target(r), "?")
	for _, m := range h.mountsOf(canonicalHost(r.Host)) {
		if _, ok := m.base.Cut(path); ok {
			m.app.ServeHTTP(w, r)
			return
		}
	}

	refuse(w, http.StatusNotFound, "There is no application for this address.")
}

// mountsOf returns those of the host, else of the longest wildcard that it is below, else
// those for all other hosts.
func (h *hosts) mountsOf(host string) []mount {
	// A Host that begins with a dot would find the key of a wildcard.
	if mounts, known := h.mounts[host]; known && !strings.HasPrefix(host, ".") {
		return mounts
	}

	for rest := host; h.wildcards; {
		dot := strings.IndexByte(rest, '.')
		if dot < 0 {
			break
		}

		// A wildcard stands for one label at least.
		if mounts, known := h.mounts[rest[dot:]]; known && rest[:dot] != "" {
			return mounts
		}

		rest = rest[dot+1:]
	}

	return h.mounts[anyHost]
}

func (h *hosts) Drain() {
	for _, app := range h.apps {
		app.Drain()
	}
}

func (h *hosts) requests() any {
	shown := make([]handler.Snapshot, 0, len(h.apps))
	for _, app := range h.handlers() {
		shown = append(shown, app.Inspect())
	}

	return sortedByApp(shown)
}

func (h *hosts) handlers() []*handler.Handler {
	handlers := make([]*handler.Handler, 0, len(h.apps))
	for _, app := range h.apps {
		handlers = append(handlers, app.app)
	}

	return handlers
}

func (h *hosts) close() {
	for _, app := range h.apps {
		app.close()
	}
}
