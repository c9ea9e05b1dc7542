// Package apiserver is the admin API of a [passenger.Pool] and of the program
// around it, as an [http.Handler], and its client.
//
// The paths, bodies and responses are those of Passenger's own API, version 0.3, so
// its tools work with it. In addition there are GET /livez, /readyz, /metrics, /figures.json,
// /incidents.json, /incidents/ID.json, /pool/explain.json and /pool.json?form=snapshot, and
// POST /pool/backtraces.json and /reload.json.
//
// # Who may do what
//
// On a Unix socket, root and the user of this program may do everything, and
// the owner of an application's processes may see and change that application.
// Everywhere, "api" with an application's API key may the same, and accounts do
// what their level says. What several of these allow adds up. Whoever is none of
// them gets 401, as does a caller that lacks the right.
package apiserver

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/defaultlog"
	"github.com/gopassenger/passenger/metrics"
	"github.com/gopassenger/passenger/status"
)

// Config says what the API of a core shows and does. Only Pool is needed; what
// an absent function would do gets 501 or, as Passenger does for
// logs, with 500. The functions may be called by several goroutines at once.
type Config struct {
	Pool *passenger.Pool
	// Accounts have passwords.
	Accounts []Account
	// AllowAnyone lets everybody do everything whose connection says nothing
	// of who they are, as TCP's does, if there are no Accounts. Passenger does
	// so; without it such a call could come from no one. Use it
	// only behind something that knows its users.
	AllowAnyone bool
	// Requests returns what GET /server.json shows, as JSON; nil means no requests.
	Requests func() any
	// RequestFigures returns what GET /metrics tells of requests, for each handler; nil means that it tells nothing.
	RequestFigures func() []metrics.Requests
	// Figures returns what GET /figures.json shows: the history of the application of this name, or
	// of all for an empty name, with at most the newest points of each; nil means no history.
	Figures func(app string, points int) []status.Figures
	// NativeHistograms adds Prometheus's native histograms, with finer buckets, to
	// the classic ones for clients that accept the protobuf format, which alone has
	// them.
	NativeHistograms bool
	// Started is when the program started; the zero value leaves it out of the metrics.
	Started time.Time
	// Backlogs returns how many connections wait in the kernel; nil means that it is unknown.
	Backlogs func() []Backlog
	// Companions returns what runs beside the applications; nil means nothing.
	Companions func() []status.Companion
	// Incidents are what was recorded; nil means nothing.
	Incidents Incidents
	// DisconnectClient cuts the request of this id, which Requests shows, and
	// reports whether there is one.
	DisconnectClient func(id string) bool
	// Settings returns the effective settings by their names, without
	// secrets; nil means none.
	Settings func() map[string]any
	// ChangeSettings changes some. An error says which are wrong and is shown
	// to who asked; nothing should have changed then.
	ChangeSettings func(changes map[string]json.RawMessage) error
	// FreeMemory releases what can be made again; nil means debug.FreeOSMemory.
	FreeMemory func()
	// Shutdown makes the program end, as SIGTERM does. It is called when the
	// response is written, and must not wait for the API's server to end.
	Shutdown func()
	// RestartAbsent is called for an application to restart that the pool does not have, because it had no request for
	// a while. It reports whether the name is that of a configured one; nil means that none is.
	RestartAbsent func(name string) bool
	// ReopenLogs opens the log files again by their names; nil, and the error ErrNoLogFile, mean that there are none.
	ReopenLogs func() error
	// Ready returns why the program is not ready to serve; nil means that it always is.
	Ready func() error
	// Program and Version are what GET /info.json shows; empty means
	// "gopassenger core" and passenger.Version.
	Program, Version string
	// Logger gets each order with its caller, and wrong passwords. The zero
	// value passes warnings and errors on to slog.Default.
	Logger logr.Logger
}

// Validate reports every fault of c, joined. Each error begins with the name of its
// field.
func (c *Config) Validate() error {
	var errs []error
	if c.Pool == nil {
		errs = append(errs, errors.New("Pool: the API has no pool to show: set the one of passenger.New"))
	}

	return errors.Join(append(errs, validateAccess(c.Accounts, c.AllowAnyone))...)
}

// Server is the API. It is safe for concurrent use.
type Server struct {
	cfg Config
	// status, reload and forceReload are those of a watchdog.
	status              func() string
	reload, forceReload func(ctx context.Context) error
	euid                int
	accounts            []account
	guesses             *guesses
	// apps are those that metrics name.
	apps    *metrics.Apps
	routes  map[string]methods
	origins *http.CrossOriginProtection
}

// New returns the API of a core. The error is that of [Config.Validate].
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}

	if cfg.Program == "" {
		cfg.Program = "gopassenger core"
	}

	s := newServer(cfg)
	s.routes = s.coreRoutes()

	return s, nil
}

func newServer(cfg Config) *Server {
	if cfg.Version == "" {
		cfg.Version = passenger.Version
	}

	cfg.Logger = defaultlog.Or(cfg.Logger)
	s := &Server{
		euid:     os.Geteuid(),
		accounts: newAccounts(cfg.Accounts),
		guesses:  &guesses{log: cfg.Logger},
		apps:     &metrics.Apps{},
		origins:  http.NewCrossOriginProtection(),
	}
	cfg.Accounts = nil // the passwords are no longer needed
	s.cfg = cfg

	return s
}

// call is one request.
type call struct {
	*Server
	w http.ResponseWriter
	r *http.Request
	// peer is who calls, if known.
	peer   Peer
	known  bool
	rights rights
}

// ServeHTTP serves one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{Server: s, w: w, r: r}
	c.peer, c.known = PeerOf(r.Context())
	c.limitTime()
	if _, asked := r.Header["Upgrade"]; asked {
		c.fail(http.StatusUnprocessableEntity, "",
			"the connection cannot be upgraded here: leave the header Upgrade out")
		return
	}

	// The paths are documented, so that no right is needed to hear of a wrong one.
	allowed := s.methodsOf(r.URL.Path)
	if allowed == nil {
		c.fail(http.StatusNotFound, "", "there is no such path")
		return
	}

	method := r.Method
	// net/http leaves the body of the response out.
	if method == http.MethodHead {
		method = http.MethodGet
	}

	route, ok := allowed[method]
	if !ok {
		w.Header().Set("Allow", allowed.String())
		c.fail(http.StatusMethodNotAllowed, "", "this path takes "+allowed.String())
		return
	}

	// Browsers send the passwords they know along with what other sites ask for.
	if s.origins.Check(r) != nil {
		c.fail(http.StatusForbidden, "", "requests made by the pages of other sites are refused")
		return
	}

	c.rights = c.authorize()
	if !c.rights.include(route.needs) {
		c.unauthorized()
		return
	}

	if r.ContentLength > maxBody {
		c.tooLarge()
		return
	}

	// Orders are worth a line. Questions come every few seconds from tools and monitoring.
	if method != http.MethodGet {
		s.cfg.Logger.Info("the admin API was called", "method", method, "path", r.URL.Path, "caller", c.caller(),
			"account", c.rights.account)
	}

	route.serve(c)
}

// methodsOf returns the routes of a path, or nil.
func (s *Server) methodsOf(path string) methods {
	if m := s.routes[path]; m != nil {
		return m
	}

	if _, ok := clientID(path); ok {
		return s.routes[clientPath]
	}

	if _, ok := incidentID(path); ok {
		return s.routes[incidentPath]
	}

	return nil
}

// methods are the routes of one path.
type methods map[string]route

type route struct {
	needs right
	serve func(*call)
}

// String is for the header Allow.
func (m methods) String() string {
	names := make([]string, 0, len(m)+1)
	for name := range m {
		names = append(names, name)
		if name == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}

	slices.Sort(names)

	return strings.Join(names, ", ")
}
