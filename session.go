package passenger

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/spawner"
)

// CloseMode selects what happens to the connection of a session.
type CloseMode uint8

// The modes. The zero value, Discard, closes the connection.
const (
	Discard CloseMode = iota
	// KeepAlive keeps the connection for another session. The caller must know that the exchange on
	// it is complete in both directions, and that the application keeps it open.
	KeepAlive
)

// Session is the right to send one request to a process. One goroutine at a time may use it; Close
// may be called by any, any number of times.
type Session struct {
	process *process
	socket  *socket
	// conn is set under Pool.mu, and only by Connect, which may therefore read it without.
	conn net.Conn
	// Pool.mu guards limit, and changes of closed.
	limit  *sessionLimit
	closed atomic.Bool
	// connected means that Connect was called before.
	connected bool
	reused    bool
	// responded means that Report was called with nil. Close reads it in any goroutine.
	responded atomic.Bool
	// long means that MarkLong was called. Pool.mu guards it.
	long bool
	// over is that of Abandon, or nil.
	over func(unanswered bool)
}

// PID returns the ID of the process.
func (s *Session) PID() int { return s.process.info.PID }

// GUPID returns the ID that no other process has, also none of other pools or times.
func (s *Session) GUPID() string { return s.process.info.GUPID }

// UID returns the user ID the process runs as.
func (s *Session) UID() int { return s.process.info.UID }

// ReleaseRoot returns the directory the process runs in, with links resolved; empty if it is unknown.
func (s *Session) ReleaseRoot() string { return s.process.root }

// WithRights runs f, which looks at files, with the rights of the user the process runs as. f must not start
// goroutines.
func (s *Session) WithRights(f func() error) error {
	if with := s.process.info.WithRights; with != nil {
		return with(f)
	}

	return f()
}

// ConnectPassword returns the secret that proves to the process that a request comes from this
// pool. Never log it.
func (s *Session) ConnectPassword() string { return s.process.info.ConnectPassword }

// Protocol returns the protocol of the connection.
func (s *Session) Protocol() spawner.Protocol { return s.socket.spec.Protocol }

// KeepsSessionsOpen reports whether a connection of the session protocol stays open after a
// request, as agreed during the spawn.
func (s *Session) KeepsSessionsOpen() bool { return s.socket.spec.SessionKeepAlive }

// TakesOutOfBandWork reports whether the process can be asked for out-of-band work by this connection.
func (s *Session) TakesOutOfBandWork() bool {
	return s.Protocol() == spawner.SessionProtocol || s.socket.spec.OutOfBandWork
}

// NamesClient reports whether requests by HTTP have the field that names the client, as agreed during the spawn.
func (s *Session) NamesClient() bool { return s.socket.spec.NamesClient }

// Scripts returns those of an application of type php, as its process was started with them; nil for
// other types.
func (s *Session) Scripts() *spawner.Scripts { return s.process.info.Scripts }

// Log logs a line that the process has written to the error stream of the request, which FastCGI
// has, as what the process prints.
func (s *Session) Log(line []byte) {
	if log := s.socket.spec.Log; log != nil {
		log(line)
	}
}

// MayKeepIdle reports whether an idle connection takes nothing from other requests. A process that
// serves as many connections as it has workers is asked for more than that where
// Options.ForceMaxConcurrentRequestsPerProcess says so; an idle connection would keep a worker from
// those that wait.
func (s *Session) MayKeepIdle() bool {
	took, gets := s.socket.spec.Concurrency, s.socket.concurrency
	return took == 0 || gets != 0 && gets <= took
}

// StickyID returns the value of Options.StickySessionID for later gets that prefer this process.
func (s *Session) StickyID() uint32 { return s.process.stickyID }

// AppName returns the name of the application's group.
func (s *Session) AppName() string { return s.process.group.name }

// Reused reports whether the connection that Connect returned has served another request. The
// application may have closed it meanwhile, which shows at the first write or read.
func (s *Session) Reused() bool { return s.reused }

// Connect returns a connection to the process: an idle one, or a new one. A second call closes the
// connection of the first and returns a new one. The connection belongs to the session: Close
// closes or keeps it.
//
// Errors: *ConnectError, in which case the process has been detached; that of ctx, if it ended
// first; ErrExhausted when the cause is not the process; ErrSessionClosed after Close.
func (s *Session) Connect(ctx context.Context) (net.Conn, error) {
	if s.closed.Load() {
		return nil, ErrSessionClosed
	}

	if !s.connected && s.conn != nil {
		s.connected = true
		return s.conn, nil
	}

	if broken := s.conn; broken != nil && s.replaceConn(nil) {
		_ = broken.Close()
	}

	// Without the lock, since dialing blocks.
	s.connected, s.reused = true, false
	conn, err := s.socket.spec.Dial(ctx)
	if conn == nil && err == nil {
		err = brokenPromise("Dial returned neither a connection nor an error")
	}

	if err != nil {
		if ctxErr := endOf(ctx, err); ctxErr != nil {
			return nil, ctxErr
		}

		if isExhaustion(err) {
			return nil, fmt.Errorf("%w: %w", ErrExhausted, err)
		}

		err = &ConnectError{AppName: s.AppName(), PID: s.PID(), Err: err}
		s.process.group.pool.update(func(fx *effects) { s.process.connectFailed(fx, err) })

		return nil, err
	}

	if !s.replaceConn(conn) {
		_ = conn.Close()
		return nil, ErrSessionClosed // closed meanwhile
	}

	return conn, nil
}

// replaceConn sets the connection for Close, and reports whether the session is open.
func (s *Session) replaceConn(conn net.Conn) (open bool) {
	s.process.group.pool.update(func(*effects) {
		if open = !s.closed.Load(); open {
			s.conn = conn
		}
	})

	return open
}

// endOf returns the reason why ctx ended if err is due to that, else nil. The system may notice a
// deadline before ctx does.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}

	// The first error comes from the system, the second from package net if the deadline is over before it dials.
	late := errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
	if deadline, ok := ctx.Deadline(); ok && late && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}

	return nil
}

func isExhaustion(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, errno) {
			return true
		}
	}

	return false
}

// Report tells the pool whether the process responded to the request of the session. A nil error
// means that the first byte of a response came, of whatever status; it counts when the session is
// closed. Any other error is the reason why none came, such as a closed connection or a timeout; it
// counts at once, also after Close. After Options.MaxUnanswered consecutive errors, the process is
// replaced.
//
// Do not report a request if neither is known, as when the client left before the response.
func (s *Session) Report(err error) {
	if err == nil {
		s.responded.Store(true)
		return
	}

	s.process.group.pool.update(func(fx *effects) { s.process.requestFailed(fx, err) })
}

// MarkLong notes that the session may last for as long as the client wants, as a WebSocket or a
// stream of events: see ProcessSnapshot.LongSessions.
func (s *Session) MarkLong() {
	s.process.group.pool.update(func(*effects) {
		if !s.long && !s.closed.Load() {
			s.long = true
			s.process.longSessions++
		}
	})
}

// OnDetach registers f to be called once when the process is detached or the pool shuts down, so
// that a long session can be ended. With Options.KeepLongSessions it is called only when the pool
// shuts down or the process has ended. f runs in the goroutine that causes the call; at once if
// that has happened already.
//
// stop unregisters f. It returns false if f has been called, or will be.
func (s *Session) OnDetach(f func()) (stop func() bool) {
	if f == nil {
		panic("passenger: OnDetach with a nil function")
	}

	pr := s.process
	p := pr.group.pool
	p.update(func(fx *effects) {
		if pr.state == stateDetached && !pr.keepsSessions() || p.state != poolOpen || s.closed.Load() {
			fx.after(f)
			return
		}

		if pr.onDetach == nil {
			pr.onDetach = map[*Session]func(){}
		}

		pr.onDetach[s] = f
		if pr.state == stateDetached {
			pr.group.continueDrain(fx, pr) // now perhaps only long sessions are left
		}
	})

	return func() (stopped bool) {
		p.update(func(fx *effects) {
			_, stopped = pr.onDetach[s]
			delete(pr.onDetach, s)
			if pr.overdue && len(pr.onDetach) == 0 {
				pr.group.stopOverdue(fx, pr)
			}
		})

		return stopped
	}
}

// Close ends the session, and closes or keeps its connection, as mode says. Only the first call has
// an effect.
func (s *Session) Close(mode CloseMode) {
	p := s.process.group.pool
	p.update(func(fx *effects) {
		if s.closed.Load() {
			return
		}

		s.closed.Store(true)
		if s.long {
			s.process.longSessions--
		}

		delete(s.process.onDetach, s)
		delete(s.process.abandoned, s)
		s.stopTimeLimitLocked()
		// A detached process gets no more requests, so its connections are of no use.
		if conn := s.conn; conn != nil {
			kept := mode == KeepAlive && s.process.state != stateDetached && s.socket.keepIdleLocked(conn)
			if !kept {
				fx.closeConn(conn)
			}
		}

		if s.responded.Load() {
			s.process.unanswered = 0
		}

		s.process.endSession(fx, s.socket)
		if s.over != nil {
			fx.after(func() { s.over(!s.responded.Load()) })
		}
	})
}

// sessionLimit limits the time of a request.
type sessionLimit struct {
	timer *poolTimer
	place node[sessionLimit] // in Pool.timed
	// host and path describe the request.
	host, path string
	exceeded   bool
}

// startTimeLimitLocked kills the process after Options.MaxRequestTime, unless the session ends
// before.
func (s *Session) startTimeLimitLocked() {
	g := s.process.group
	limit := g.opts.MaxRequestTime
	if limit <= 0 {
		return
	}

	s.limit = &sessionLimit{timer: g.pool.startTimerLocked(limit, s.exceedTimeLimit)}
	g.pool.timed.push(&s.limit.place, s.limit)
}

func (s *Session) stopTimeLimitLocked() {
	if s.limit != nil {
		s.process.group.pool.stopTimerLocked(s.limit.timer)
		s.limit.place.leave()
	}
}

// TimeIsUp reports whether the request exceeded Options.MaxRequestTime, so that its process was
// killed.
func (s *Session) TimeIsUp() (up bool) {
	if s.limit != nil {
		s.process.group.pool.update(func(*effects) { up = s.limit.exceeded })
	}

	return up
}

// Describe names the request of the session, for the hook that runs when it takes too long.
func (s *Session) Describe(host, path string) {
	if s.limit != nil {
		p := s.process.group.pool
		p.update(func(*effects) { s.limit.host, s.limit.path = host, path })
	}
}

// exceedTimeLimit kills the process of a request that takes too long, after the hook has run.
func (s *Session) exceedTimeLimit(fx *effects) {
	s.limit.place.leave()
	s.limit.exceeded = true
	pr := s.process
	g := pr.group
	g.counts.Limits.RequestTime++
	limit, host, path := g.opts.MaxRequestTime.String(), s.limit.host, s.limit.path
	in := pr.incidentLocked(IncidentRequestTime)
	in.Limit, in.Host, in.Target = limit, host, path
	// An abandoned session, too, keeps the process as it is until it is killed.
	delete(pr.abandoned, s)

	pr.recordAndDetach(fx, in, func(fx *effects, at recorded) {
		logged, _, _ := strings.Cut(path, "?") // the query may hold secrets
		fx.log(g.pool, "killing a process whose request exceeded its time limit", at.with("app", g.name, "pid",
			pr.info.PID, "host", host, "path", logged, "limit", limit)...)

		// The hook may look at the process, for a stack trace, before it is killed.
		if !g.pool.hooks.Has(hooks.MaxRequestTimeReached) {
			pr.killLocked()
			return
		}

		event := hooks.Event{
			Name:         hooks.MaxRequestTimeReached,
			AppRoot:      g.opts.App.Root,
			GroupName:    g.name,
			PID:          pr.info.PID,
			RequestHost:  host,
			RequestPath:  path,
			IncidentFile: at.file,
		}
		g.pool.wg.Go(func() { pr.killAfterHook(event) })
	})
}

// killAfterHook kills the process when the hook has ended, with or without an error.
func (pr *process) killAfterHook(event hooks.Event) {
	p := pr.group.pool
	ctx, cancel := context.WithTimeout(p.spawnCtx, hookTimeout)
	defer cancel()
	defer p.update(func(*effects) { pr.killLocked() })
	if err := p.hooks.Run(ctx, event); err != nil {
		p.cfg.Logger.Error(err, "a hook failed", "hook", string(event.Name), "app", event.GroupName, "pid", event.PID)
	}
}

// killLocked kills a detached process with the sessions it has.
func (pr *process) killLocked() {
	p := pr.group.pool
	// A Stop may be in progress; this one shortens it, since its context has ended.
	pr.stopping = true
	p.stopTimerLocked(pr.drain)
	p.wg.Go(func() { pr.proc.Stop(p.deadCtx) })
}
