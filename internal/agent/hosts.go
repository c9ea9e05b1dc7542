package agent

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
)

// HostedApp is one of several applications of a server.
type HostedApp struct {
	// Hosts are the names that it is asked for by; none: all that no other
	// application has.
	Hosts []string
	// BaseURI is the path that it is below; empty: all paths.
	BaseURI string
	// Config is that of the application. What in it is about the server does not
	// count.
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
		for _, host := range app.hosts() {
			place := host + strings.TrimSuffix(app.BaseURI, "/")
			if other, taken := seen[place]; taken {
				errs = append(errs, fmt.Errorf("apps: %s and %s are both to answer for %q", other, app.Config.Dir, place))
			}
			seen[place] = app.Config.Dir
		}
	}
	return errs
}

// anyHost stands for those that no application names.
const anyHost = ""

// Place tells people which requests are the application's.
func (a *HostedApp) Place() string {
	if len(a.Hosts) == 0 {
		return "all other hosts" + a.BaseURI
	}
	places := make([]string, len(a.Hosts))
	for i, host := range a.Hosts {
		places[i] = host + a.BaseURI
	}
	return strings.Join(places, ", ")
}

func (a *HostedApp) hosts() []string {
	if len(a.Hosts) == 0 {
		return []string{anyHost}
	}
	hosts := make([]string, len(a.Hosts))
	for i, host := range a.Hosts {
		hosts[i] = canonicalHost(host)
	}
	return hosts
}

// hosts serve several applications, by the host and the path of a request.
type hosts struct {
	apps []*oneApp
	// mounts are those of a host, those with longer paths first.
	mounts map[string][]mount
}

type mount struct {
	baseURI string // without a slash at its end
	app     http.Handler
}

func newHosts(c *Config, pool *passenger.Pool, common handler.Config, lines *requestLog) (*hosts, error) {
	h := &hosts{mounts: map[string][]mount{}}
	for i := range c.Apps {
		app := &c.Apps[i]
		requests := app.Config.handler()
		requests.Logger, requests.AccessLog = common.Logger, common.AccessLog
		one, err := newOneApp(app.Config, pool, requests, lines)
		if err != nil {
			return nil, err
		}
		h.apps = append(h.apps, one)
		for _, host := range app.hosts() {
			h.mounts[host] = append(h.mounts[host], mount{baseURI: strings.TrimSuffix(app.BaseURI, "/"), app: one})
		}
	}
	for _, mounts := range h.mounts {
		slices.SortStableFunc(mounts, func(a, b mount) int { return cmp.Compare(len(b.baseURI), len(a.baseURI)) })
	}
	return h, nil
}

func (h *hosts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := canonicalHost(r.Host)
	if _, known := h.mounts[host]; !known {
		host = anyHost
	}
	for _, m := range h.mounts[host] {
		if rest, ok := strings.CutPrefix(r.URL.Path, m.baseURI); ok && (rest == "" || rest[0] == '/') {
			m.app.ServeHTTP(w, r)
			return
		}
	}
	refuse(w, http.StatusNotFound, "There is no application for this address.")
}

// canonicalHost is a host in small letters, without a port or a dot at its end.
func canonicalHost(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
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
	return shown
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
