// Package agent puts a whole server together, from a configuration: config.go,
// with requests.go, processes.go, tls.go and others for parts of it.
//
// An [Instance] (instance.go) is what a command starts: the listening sockets
// (listen.go, systemd.go), an instance directory with the sockets of the admin APIs
// (runtime_dir.go), pid and log files, and a watchdog. It can take another configuration
// (reload.go). The watchdog keeps a core alive (core.go), a process of its own,
// with its admin API (core_api.go), which has the server (this file): the pool, and a site
// (site.go) that is one application with its static files (static.go), several by
// host and path (hosts.go), or any number of them as a web server says (apps.go,
// flying.go). Another agent forwards transactions, if any are recorded
// (transactions.go).
package agent

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/internal/connlimit"
	"github.com/gopassenger/passenger/internal/connstate"
	"github.com/gopassenger/passenger/internal/front"
	"github.com/gopassenger/passenger/internal/headguard"
	"github.com/gopassenger/passenger/internal/history"
	"github.com/gopassenger/passenger/internal/httphead"
	"github.com/gopassenger/passenger/internal/incident"
	"github.com/gopassenger/passenger/internal/rawsock"
	"github.com/gopassenger/passenger/internal/scgi"
	"github.com/gopassenger/passenger/internal/ustrouter"
	"github.com/gopassenger/passenger/spawner"
)

const (
	// drainTimeout is how long a shutdown waits for requests and processes.
	drainTimeout = 60 * time.Second
	// headerSlack is how much more than MaxHeaderBytes net/http reads of a head.
	headerSlack = 4 << 10
	// maxParams is how many bytes a web server adds to the head of a request by SCGI.
	maxParams = 32 << 10
	// maxFields is above what a handler lets through, and ends the connection.
	maxFields = 1100
)

// Server serves one application, or many.
type Server struct {
	cfg     *Config
	log     logr.Logger
	factory spawner.Factory
	pool    *passenger.Pool
	site    site
	http    *http.Server
	// guard is in front of http, and lets only what leaves no doubt through.
	guard *headguard.Guard
	// front serves what is simple in the place of http; nil means that http serves all.
	front *front.Server
	// scgi shares the listener with http; nil means that it does not.
	scgi  *scgi.Server
	conns *connstate.Connections
	// limiter bounds the connections.
	limiter *connlimit.Limiter
	// cert is for HTTPS; nil means none.
	cert      *certificate
	listeners []*drainingListener
	access    *logFile // nil means none
	requests  *requestLog
	// incidents keeps what went wrong; nil means nothing.
	incidents *incident.Recorder
	// release gives back the log files of applications.
	release func() error
	// draining is true when the server is about to end, and takes no more requests.
	draining atomic.Bool
	// failed gets errors of listeners; serving ends with all of them.
	failed  chan error
	serving sync.WaitGroup
	// starts are those of the applications' first processes.
	starts sync.WaitGroup
	// history are the figures of the last hour.
	history history.Ring
	// companions are those of each application that has some.
	companions []*companions
}

// listening is a socket that requests come by.
type listening struct {
	deadlineListener
	// tls is true if they come by HTTPS.
	tls bool
}

// observers get the output of applications, events and transactions.
type observers struct {
	hooks []hooks.Hook
	// transactions may be nil.
	transactions *ustrouter.Observer
	output       *appOutput
	// incidents may be nil.
	incidents *incident.Recorder
}

// newServer boots what runs elsewhere, and begins to serve on listeners then, which it
// owns. Nothing is left running when it fails. ctx bounds the boot. sockets is a
// directory for the processes' sockets; empty means that the spawner makes one.
func newServer(
	ctx context.Context, cfg *Config, listeners []listening, sockets string, order bootOrder, watching observers,
	log logr.Logger,
) (*Server, error) {
	s := &Server{
		cfg:   cfg,
		log:   log,
		conns: connstate.New(),
		// Each listener sends one error, which is read only while the server serves.
		failed: make(chan error, len(listeners)),
	}

	s.limiter = connlimit.New(cfg.limits(), log)
	err := s.prepare(sockets, watching)
	if err == nil {
		if err = s.boot(ctx, order); err != nil {
			failures := s.pool.FailedSpawns()

			// The processes end before the factory, which has the directory of their sockets.
			err = errors.Join(&bootError{err, failures}, s.pool.Close(), s.factory.Close(), s.closeLogs())
			s.site.close()
		}
	}

	if err != nil {
		for _, l := range listeners {
			err = errors.Join(err, l.Close())
		}

		return nil, err
	}

	for _, l := range listeners {
		draining := &drainingListener{deadlineListener: l.deadlineListener, name: httpFile}
		if l.tls {
			draining.name = httpsFile
		}

		s.listeners = append(s.listeners, draining)
		s.serving.Go(func() { //nolint:contextcheck,nolintlint // ctx bounds the boot
			// A connection counts at once, and for its client as soon as a proxy has named that.
			s.failed <- s.serve(s.behindProxies(s.limiter.Listener(draining)), l.tls)
		})
	}

	return s, nil
}

func (s *Server) serve(l net.Listener, tls bool) error {
	switch {
	case s.scgi != nil:
		return s.serveBoth(l)
	case tls:
		return s.http.Serve(s.guard.Listener(rawsock.Listener(l), s.cert.config()))
	}

	return s.serveHTTP(l)
}

// serveHTTP serves HTTP without TLS.
func (s *Server) serveHTTP(l net.Listener) error {
	if s.front != nil {
		return s.front.Serve(l)
	}

	return s.http.Serve(s.guard.Listener(rawsock.Listener(l), nil))
}

// serveBoth takes SCGI and HTTP. Both end with the listener.
func (s *Server) serveBoth(l net.Listener) error {
	cgi, web := scgi.Split(l)
	ended := make(chan error, 1)
	go func() { ended <- s.scgi.Serve(rawsock.Listener(cgi)) }()
	err := s.serveHTTP(web)

	return errors.Join(err, <-ended)
}

func (s *Server) prepare(sockets string, watching observers) (err error) {
	if s.cfg.SSL {
		if s.cert, err = newCertificate(&s.cfg.TLS, s.log); err != nil {
			return err
		}
	}

	if err := s.preparePool(sockets, watching); err != nil {
		return err
	}

	if err := s.prepareSite(watching.output); err != nil {
		return errors.Join(err, s.pool.Close(), s.factory.Close(), s.closeLogs())
	}

	if s.incidents != nil {
		s.incidents.Watch(s.pool, s.site.handlers)
	}

	s.prepareHTTP()
	if s.cfg.Flying != nil {
		s.scgi = &scgi.Server{
			Handler:           s.site,
			ConnState:         s.trackSCGI,
			HeadRead:          func(c net.Conn) { s.limiter.Track(c, http.StateActive) },
			Logger:            s.log,
			ReadHeaderTimeout: s.http.ReadHeaderTimeout,
			MaxHeaderBytes:    s.cfg.largestHead() + maxParams,
		}
	}

	return nil
}

// preparePool makes the pool and what starts its processes.
func (s *Server) preparePool(sockets string, watching observers) (err error) {
	config := s.cfg.spawner()
	config.Logger, config.Dir, config.Output = s.log, sockets, watching.output.open
	config.Witness = watching.incidents != nil
	if s.factory, err = spawner.New(config); err != nil {
		return err
	}

	pool := passenger.Config{
		Spawner:         s.factory,
		MaxPoolSize:     s.cfg.MaxPoolSize,
		OutOfBandWork:   handler.OutOfBandWork,
		PoolIdleTime:    s.cfg.poolIdleTime(),
		MetricsInterval: metricsInterval,
		Hooks:           watching.hooks,
		Logger:          s.log,
	}
	if watching.transactions != nil {
		pool.Observer = watching.transactions
	}

	if s.incidents = watching.incidents; s.incidents != nil {
		pool.Incidents = s.incidents
	}

	if s.companions = s.newCompanions(sockets, watching.output); len(s.companions) > 0 {
		pool.Observer = s.observeFor(pool.Observer)
	}

	if s.pool, err = passenger.New(pool); err != nil {
		return errors.Join(err, s.factory.Close())
	}

	return nil
}

// prepareSite makes what serves the requests.
func (s *Server) prepareSite(output *appOutput) (err error) {
	requests := s.cfg.handler()
	requests.Logger = s.log
	if requests.Buffers, err = s.cfg.buffers(); err != nil {
		return err
	}

	if s.access, requests.AccessLog, err = openAccessLog(s.cfg.AccessLog); err != nil {
		return accessLogError(err)
	}

	if s.access != nil {
		s.access.tellIn(s.log, accessLogOption)
	}

	s.cfg.warnOfBuffers(s.log)
	s.requests = newRequestLog(s.cfg)
	requests.AccessLog = s.requests.with(requests.AccessLog)
	if s.release, err = output.hold(s.cfg); err != nil {
		return err
	}

	s.site, err = newSite(s.cfg, s.pool, requests, s.requests)

	return err
}

// maxFrame is the size of a frame of HTTP/2 that each server has to allow, RFC 9113 section 4.2.
const maxFrame = 16 << 10

// prepareHTTP makes the server of HTTP and what is in front of it.
func (s *Server) prepareHTTP() {
	timeout := time.Duration(s.cfg.ClientHeaderTimeout) * time.Second
	s.guard = &headguard.Guard{
		Limits:        httphead.Limits{Head: s.cfg.largestHead() + headerSlack, Fields: maxFields},
		HTTP2:         s.cfg.HTTP2Cleartext,
		HeaderTimeout: timeout,
		StallTimeout:  s.cfg.longestStall(),
		Track:         s.conns.Track,
		Flooded:       floodLog(s.log),
		ErrorLog:      errorLog(s.log),
	}

	// The guard speaks TLS, so that all of HTTP/2 looks to net/http as if it came without.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(s.cfg.HTTP2Cleartext || s.cert != nil)

	s.http = &http.Server{
		Handler:           s.guard.Handler(s.site),
		Protocols:         protocols,
		ErrorLog:          s.guard.ErrorLog,
		ConnState:         s.trackHTTP,
		ConnContext:       s.guard.ConnContext,
		ReadHeaderTimeout: timeout,
		IdleTimeout:       time.Duration(s.cfg.KeepAliveTimeout) * time.Second,
		MaxHeaderBytes:    s.cfg.largestHead(),

		// net/http would keep a buffer of up to 1 MiB for each connection, as large as its client's largest frame.
		HTTP2: &http.HTTP2Config{MaxReadFrameSize: maxFrame},
	}
	if s.cfg.HTTPServer == frontServer {
		s.front = &front.Server{
			HTTP:     s.http,
			Guard:    s.guard,
			Handler:  s.site,
			Follow:   s.limiter.Follow,
			ErrorLog: s.guard.ErrorLog,
		}
	}
}

// frontServer and standardServer are the values of the option http_server.
const (
	frontServer    = "front"
	standardServer = "standard"
)

func (s *Server) closeLogs() error {
	errs := []error{s.access.close(), s.requests.close()}
	if s.release != nil {
		errs = append(errs, s.release())
	}

	return errors.Join(errs...)
}

// disconnect cuts the client whose request has this id.
func (s *Server) disconnect(id string) (found bool) {
	for _, h := range s.site.handlers() {
		found = h.Disconnect(id) || found
	}

	return found
}

// Failed gets an error when a listener fails.
func (s *Server) Failed() <-chan error { return s.failed }

// yield leaves the listeners to another server that has them, too: from its return on,
// this one takes no more connections.
func (s *Server) yield() {
	s.draining.Store(true)

	for _, l := range s.listeners {
		l.leave()
	}

	s.serving.Wait()

	// The other server has its own.
	for _, c := range s.companions {
		c.finish()
	}
}

// Shutdown stops the server without losing a request, also of clients that
// have connected and not been heard yet, unless ctx ends or it takes longer
// than a minute: then it is cut short, and that is the error. WebSockets and
// streams of events end at once.
func (s *Server) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout+time.Duration(s.cfg.DrainDelay)*time.Second)
	defer cancel()

	if s.incidents != nil {
		s.incidents.ServerEnds()
	}

	// Otherwise it takes none already, and another server serves.
	if !s.draining.Swap(true) {
		s.waitForBalancers(ctx)
	}

	s.site.Drain()

	for _, l := range s.listeners {
		l.drain()
	}

	s.serving.Wait()

	// From here on each connection of net/http ends with its response.
	s.guard.Drain(s.http)

	// It may still give connections to http.
	var frontErr error
	if s.front != nil {
		frontErr = s.front.Shutdown(ctx)
	}

	// Shutdown of net/http drops requests that have just been read: see connstate.
	s.conns.WaitQuiet(ctx)
	httpErr := errors.Join(frontErr, s.http.Shutdown(ctx))
	if s.scgi != nil {
		httpErr = errors.Join(httpErr, s.scgi.Shutdown(ctx))
	}

	// The last request was served, or does not end in time.
	var ending sync.WaitGroup
	for _, c := range s.companions {
		ending.Go(func() { c.stop(ctx) })
	}

	poolErr := s.pool.Shutdown(ctx)
	ending.Wait()
	poolErr = errors.Join(poolErr, s.factory.Close())

	// What startFirst waits for has ended with the pool.
	s.starts.Wait()
	if httpErr != nil {
		// What is left ends here: its time is over.
		_ = s.http.Close()
		if s.front != nil {
			_ = s.front.Close()
		}

		if s.scgi != nil {
			_ = s.scgi.Close()
		}
	}

	s.site.close()

	return errors.Join(httpErr, poolErr, s.closeLogs())
}

// waitForBalancers serves on for a while, in which those who ask whether the server
// is ready learn that it is not.
func (s *Server) waitForBalancers(ctx context.Context) {
	delay := time.NewTimer(time.Duration(s.cfg.DrainDelay) * time.Second)
	defer delay.Stop()

	select {
	case <-delay.C:
	case <-ctx.Done():
	}
}

// refresh reads again what may have been replaced: it opens the access log again,
// and looks at the certificate.
func (s *Server) refresh() error {
	s.cert.reload()
	// Standard output has no name by which it could be opened again.
	if s.access == nil || s.access.path == "" {
		return nil
	}

	return accessLogError(s.access.reopen())
}
