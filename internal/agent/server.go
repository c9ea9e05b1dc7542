// Package agent puts a whole server together: configuration, pool, handler,
// static files and listener.
package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/rawsock"
	"github.com/gopassenger/passenger/spawner"
)

const (
	// drainTimeout is how long a shutdown waits for requests and processes.
	drainTimeout   = 60 * time.Second
	maxHeaderBytes = 64 << 10
)

// Server serves one application.
type Server struct {
	cfg     *Config
	log     logr.Logger
	factory spawner.Factory
	pool    *passenger.Pool
	app     *handler.Handler
	http    *http.Server
	conns   *connections
	// cert is for HTTPS; nil: there is none.
	cert      *certificate
	listeners []*drainingListener
	closeDir  func()
	access    *logFile // nil: none
	// failed gets errors of listeners; serving ends with all of them.
	failed  chan error
	serving sync.WaitGroup
}

// listening is a socket that requests come by.
type listening struct {
	deadlineListener
	// tls: they come by HTTPS.
	tls bool
}

// newServer begins to serve on listeners, which it owns then, and to start the
// processes that are to be there at all times. Nothing is left running when it
// fails. sockets is a directory for the processes' sockets; empty: the spawner
// makes one.
func newServer(cfg *Config, listeners []listening, sockets string, log logr.Logger) (*Server, error) {
	s := &Server{cfg: cfg, log: log, conns: newConnections(), failed: make(chan error, len(listeners))}
	if err := s.prepare(sockets); err != nil {
		for _, l := range listeners {
			err = errors.Join(err, l.Close())
		}
		return nil, err
	}
	for _, l := range listeners {
		draining := &drainingListener{deadlineListener: l.deadlineListener}
		s.listeners = append(s.listeners, draining)
		s.serving.Go(func() { s.failed <- s.serve(rawsock.Listener(draining), l.tls) })
	}
	s.startProcesses()
	return s, nil
}

func (s *Server) serve(l net.Listener, tls bool) error {
	if tls {
		return s.http.ServeTLS(l, "", "")
	}
	return s.http.Serve(l)
}

func (s *Server) prepare(sockets string) (err error) {
	if s.cfg.SSL {
		if s.cert, err = newCertificate(&s.cfg.TLS, s.log); err != nil {
			return err
		}
	}
	config := s.cfg.spawner()
	config.Logger, config.Dir = s.log, sockets
	s.factory = spawner.New(config)
	if s.pool, err = passenger.New(passenger.Config{
		Spawner: s.factory, MaxPoolSize: s.cfg.MaxPoolSize, OutOfBandWork: handler.OutOfBandWork, Logger: s.log,
	}); err != nil {
		return err
	}
	requests := s.cfg.handler()
	requests.Logger = s.log
	if s.access, requests.AccessLog, err = openAccessLog(s.cfg.AccessLog); err != nil {
		return errors.Join(err, s.pool.Close(), s.factory.Close())
	}
	s.app = handler.New(s.pool, requests)
	root, closeDir, err := newStatic(s.cfg.publicDir(), s.app)
	if err != nil {
		return errors.Join(fmt.Errorf("cannot serve the files in %s: %w", s.cfg.publicDir(), err), s.pool.Close(), s.factory.Close())
	}
	s.closeDir = closeDir
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	s.http = &http.Server{
		Handler: root, Protocols: protocols, ErrorLog: errorLog(s.log), ConnState: s.conns.track,
		ReadHeaderTimeout: time.Duration(s.cfg.ClientHeaderTimeout) * time.Second,
		IdleTimeout:       time.Duration(s.cfg.KeepAliveTimeout) * time.Second, MaxHeaderBytes: maxHeaderBytes,
	}
	if s.cert != nil {
		s.http.TLSConfig = s.cert.config()
	}
	return nil
}

// startProcesses does not wait: until the first one is there, requests do.
func (s *Server) startProcesses() {
	if s.cfg.MinInstances == 0 {
		return
	}
	options := s.cfg.options()
	s.pool.AsyncGet(&options, func(session *passenger.Session, _ error) {
		// The spawner has logged what went wrong, if something did.
		if session != nil {
			session.Close(passenger.KeepAlive)
		}
	})
}

// Failed gets an error when a listener fails.
func (s *Server) Failed() <-chan error { return s.failed }

// Shutdown stops the server without losing a request, also of clients that
// have connected and not been heard yet, unless ctx ends or it takes longer
// than a minute: then it is cut short, and that is the error. WebSockets and
// streams of events end at once.
func (s *Server) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	s.app.Drain()
	for _, l := range s.listeners {
		l.drain()
	}
	s.serving.Wait()
	s.http.SetKeepAlivesEnabled(false)
	s.conns.waitQuiet(ctx)
	httpErr := s.http.Shutdown(ctx)
	poolErr := errors.Join(s.pool.Shutdown(ctx), s.factory.Close())
	if httpErr != nil {
		_ = s.http.Close() // what is left was told that it is cut
	}
	s.closeDir()
	return errors.Join(httpErr, poolErr, s.access.close())
}

// refresh reads again what may have been replaced: it opens the access log anew,
// and looks at the certificate.
func (s *Server) refresh() error {
	s.cert.reload()
	if s.access == nil {
		return nil
	}
	return s.access.reopen()
}
