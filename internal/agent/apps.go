package agent

import (
	"container/list"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/ratelog"
	"github.com/gopassenger/passenger/internal/scgi"
)

// maxApps bounds how many applications, or configurations of one, are known at a
// time. Only who has the password can make one known.
const maxApps = 4096

// apps serves many applications: a request says which, by its options, and so an
// application is known from its first request on.
type apps struct {
	cfg       *Config
	pool      *passenger.Pool
	log       logr.Logger
	accessLog logr.Logger
	buffers   *handler.BufferBudget
	password  secret
	limit     int
	refused   ratelog.Line
	wrong     ratelog.Line

	mu sync.Mutex
	// known are the applications by the keys of their options. used has the same, the
	// least recently used first.
	known    map[string]*app
	used     *list.List
	sweeper  *time.Timer
	draining bool
	closed   bool
}

// app is an application with one configuration of its handler.
type app struct {
	key     string
	options []appOption
	handler *handler.Handler
	id      appID
	env     handler.Env
	log     AppLog
	element *list.Element
	// requests counts those in progress, and last is when the last one ended.
	requests int
	last     time.Time
}

// appID is what a group of the pool has as well.
type appID struct{ name, root string }

// newApps makes handlers with the loggers and buffers of common.
func newApps(cfg *Config, pool *passenger.Pool, common handler.Config) *apps {
	return &apps{
		cfg:       cfg,
		pool:      pool,
		log:       common.Logger,
		accessLog: common.AccessLog,
		buffers:   common.Buffers,
		password:  newSecret(cfg.Flying.Password),
		limit:     maxApps,
		known:     map[string]*app{},
		used:      list.New(),
	}
}

// ServeHTTP reports what is wrong with the options to the log, and none of it to the client.
func (a *apps) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request, err := takeAppRequest(r, &a.password)
	if errors.Is(err, errPassword) {
		// Any client that reaches the socket can cause this.
		a.refused.Tell(func(more int) {
			a.log.Error(err, "requests are refused: the web server's configuration must have the password of the "+
				"password file", "more", more, "protocol", protocolOf(r))
		})
		refuse(w, http.StatusForbidden, "Forbidden")

		return
	}

	var found *app
	if err == nil {
		found, err = a.take(request)
	}

	if err != nil {
		a.wrong.Tell(func(more int) {
			a.log.Error(err, "cannot serve a request: correct the options in the web server's configuration",
				"host", r.Host, "path", r.URL.Path, "more", more)
		})
		if errors.Is(err, errTooManyApps) {
			refuse(w, http.StatusServiceUnavailable, "The server is out of resources.")
		} else {
			refuse(w, http.StatusInternalServerError,
				"The web server's configuration for this address is wrong. The log of Passenger says why.")
		}

		return
	}

	defer a.release(found)
	if env := found.env; env != nil || request.remoteUser != "" {
		ctx := r.Context()
		if env != nil {
			ctx = handler.WithEnv(ctx, env)
		}

		if request.remoteUser != "" {
			ctx = handler.WithEnv(ctx, handler.Env{remoteUser: request.remoteUser})
		}

		r = r.WithContext(ctx)
	}

	found.handler.ServeHTTP(w, r)
}

func protocolOf(r *http.Request) string {
	if scgi.Params(r) != nil {
		return "SCGI"
	}

	return "HTTP"
}

func refuse(w http.ResponseWriter, status int, message string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(message)+1))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// The client may be gone.
	_, _ = io.WriteString(w, message+"\n")
}

// errTooManyApps means that all known applications have requests.
var errTooManyApps = errors.New("there are too many applications at a time")

// take returns the application, which the caller must release.
func (a *apps) take(r *appRequest) (*app, error) {
	key := r.key()
	if found := a.find(key); found != nil {
		return found, nil
	}

	made, err := a.make(r.options)
	if err != nil {
		return nil, err
	}

	return a.add(key, made)
}

// find returns nil for an unknown application.
func (a *apps) find(key string) *app {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.known[key]
	if found != nil {
		a.use(found)
	}

	return found
}

// use needs the lock.
func (a *apps) use(found *app) {
	found.requests++
	a.used.MoveToBack(found.element)
}

func (a *apps) release(found *app) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found.requests--
	found.last = time.Now()
}

// make needs no lock: it may take long.
func (a *apps) make(options []appOption) (*app, error) {
	cfg, err := newAppConfig(a.cfg, options)
	if err != nil {
		return nil, err
	}

	config := cfg.handler()
	config.Logger, config.AccessLog, config.Buffers = a.log, a.accessLog, a.buffers
	config.UnlimitedConcurrencyPaths = cfg.unlimitedPaths(a.log)

	requests, err := handler.New(a.pool, config)
	if err != nil {
		return nil, err
	}

	made := &app{
		options: options,
		handler: requests,
		id:      appID{config.Options.App.Name(), cfg.Dir},
		log:     newAppLog(&config.Options.App),
		last:    time.Now(),
	}
	if len(cfg.EnvVars) > 0 {
		made.env = handler.Env(cfg.EnvVars)
	}

	return made, nil
}

// add returns the known application instead, if another request was quicker.
func (a *apps) add(key string, made *app) (*app, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if found := a.known[key]; found != nil {
		a.use(found)
		return found, nil
	}

	if len(a.known) >= a.limit && !a.makeRoom() {
		return nil, errTooManyApps
	}

	// Drain came before the application was known.
	if a.draining {
		made.handler.Drain()
	}

	made.key, made.element = key, a.used.PushBack(made)
	a.known[key] = made
	a.use(made)
	a.sweepLater()

	return made, nil
}

// makeRoom forgets the least recently used application without requests. It needs the
// lock, as all functions below.
func (a *apps) makeRoom() bool {
	for e := a.used.Front(); e != nil; e = e.Next() {
		if old := a.at(e); old.requests == 0 {
			a.forget(old)
			return true
		}
	}

	return false
}

func (*apps) at(e *list.Element) *app {
	return e.Value.(*app) //nolint:forcetypeassert,errcheck // there is nothing else in the list
}

func (a *apps) forget(old *app) {
	a.used.Remove(old.element)
	delete(a.known, old.key)
}

func (a *apps) sweepLater() {
	idle := a.cfg.poolIdleTime()
	if a.sweeper == nil && !a.closed && idle > 0 && len(a.known) > 0 {
		a.sweeper = time.AfterFunc(idle, a.sweep)
	}
}

// sweep forgets applications without requests for the time after which processes are
// idle, and that the pool has forgotten.
func (a *apps) sweep() {
	groups := map[appID]bool{}
	// The pool is asked without the lock, for which all requests would wait.
	for _, g := range a.pool.Inspect().Groups {
		groups[appID{g.Name, g.AppRoot}] = true
	}

	a.mu.Lock()
	defer a.mu.Unlock()

	a.sweeper = nil
	for e := a.used.Front(); e != nil; {
		old, next := a.at(e), e.Next()
		if old.requests == 0 && time.Since(old.last) >= a.cfg.poolIdleTime() && !groups[old.id] {
			a.forget(old)
		}

		e = next
	}

	a.sweepLater()
}

// Drain is the handlers'.
func (a *apps) Drain() {
	a.mu.Lock()
	defer a.mu.Unlock()

	a.draining = true
	for _, known := range a.known {
		known.handler.Drain()
	}
}

func (a *apps) requests() any {
	a.mu.Lock()
	defer a.mu.Unlock()

	states := make([]handler.Snapshot, 0, len(a.known))
	for e := a.used.Back(); e != nil; e = e.Prev() {
		states = append(states, a.at(e).handler.Inspect())
	}

	return sortedByApp(states)
}

// sortedByApp sorts by the applications' names, which are the order of everything that lists applications.
func sortedByApp(states []handler.Snapshot) []handler.Snapshot {
	slices.SortStableFunc(states, func(a, b handler.Snapshot) int { return strings.Compare(a.AppName, b.AppName) })
	return states
}

// logs are those of all known applications.
func (a *apps) logs() []AppLog {
	a.mu.Lock()
	defer a.mu.Unlock()

	logs := make([]AppLog, 0, len(a.known))
	for e := a.used.Back(); e != nil; e = e.Prev() {
		logs = append(logs, a.at(e).log)
	}

	return logs
}

func (a *apps) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	if a.sweeper != nil {
		a.sweeper.Stop()
	}
}
