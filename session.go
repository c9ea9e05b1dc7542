package passenger

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/spawner"
)

// CloseMode says what becomes of a session's connection.
type CloseMode uint8

// The modes. The zero value closes the connection.
const (
	Discard CloseMode = iota
	// KeepAlive hands the connection back for another session. The caller
	// knows that the exchange on it is complete in both directions and that
	// the application keeps it open.
	KeepAlive
)

// Session is the right to send one request to a process. It is used by one
// goroutine at a time, but Close may be called by any, any number of times.
type Session struct {
	process *process
	socket  *socket
	// conn is changed under Pool.mu, and by Connect only, which so may read it without.
	conn net.Conn
	// limit is guarded by Pool.mu, under which closed changes.
	limit  *sessionLimit
	closed atomic.Bool
	// connected: Connect has handed conn out, or tried to.
	connected bool
	reused    bool
	// answered: Report was told so.
	answered bool
}

// PID is the process's id.
func (s *Session) PID() int { return s.process.info.PID }

// GUPID identifies the process among all there ever were.
func (s *Session) GUPID() string { return s.process.info.GUPID }

// UID is whom the process runs as.
func (s *Session) UID() int { return s.process.info.UID }

// ConnectPassword is what a request carries to show that it comes from here.
// Never log it.
func (s *Session) ConnectPassword() string { return s.process.info.ConnectPassword }

// Protocol is what the process speaks on the connection.
func (s *Session) Protocol() spawner.Protocol { return s.socket.spec.Protocol }

// KeepsSessionsOpen says whether a connection of the session protocol stays
// open after a request, which process and spawner agreed on.
func (s *Session) KeepsSessionsOpen() bool { return s.socket.spec.SessionKeepAlive }

// StickyID is what Options.StickySessionID has to say to get this process
// again.
func (s *Session) StickyID() uint32 { return s.process.stickyID }

// AppName is the name of the application's group.
func (s *Session) AppName() string { return s.process.group.name }

// Reused says whether the connection that Connect returned has served another
// request before. Such a one may have been closed by the application
// meanwhile, which shows at the first write or read.
func (s *Session) Reused() bool { return s.reused }

// Connect returns a connection to the process: an idle one, or a new one. A
// second call closes the first one's connection and returns a new one. The
// connection is the session's: Close closes it or hands it back.
//
// A failure is a *ConnectError, and the process is detached; ctx's own error if
// ctx ended first; ErrExhausted where it is not the process's fault;
// ErrSessionClosed after Close.
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

	s.connected, s.reused = true, false
	conn, err := s.socket.spec.Dial(ctx)
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
		return nil, ErrSessionClosed // meanwhile
	}

	return conn, nil
}

// replaceConn sets the connection that Close will find; false: the session is closed.
func (s *Session) replaceConn(conn net.Conn) (open bool) {
	s.process.group.pool.update(func(*effects) {
		if open = !s.closed.Load(); open {
			s.conn = conn
		}
	})

	return open
}

// endOf returns why ctx has ended, if err came of that. The system may notice that
// its deadline is over before it does itself.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}

	// The first is what the system notices, the second what package net does before it asks the system.
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

// OnDetach lets f be called, once, when the process leaves the pool or the pool
// shuts down, so that a session that would last for long can be ended; with
// Options.KeepLongSessions only when the pool shuts down, or the process is gone. f
// is called in the goroutine that causes it, at once if it has happened already.
// stop takes it back; false: f has been called, or will be.
func (s *Session) OnDetach(f func()) (stop func() bool) {
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
			pr.group.continueDrain(fx, pr) // it may be the last of the others
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

// Close ends the session and hands its connection back or closes it, as mode
// says. Only the first call counts.
func (s *Session) Close(mode CloseMode) {
	p := s.process.group.pool
	p.update(func(fx *effects) {
		if s.closed.Load() {
			return
		}

		s.closed.Store(true)
		delete(s.process.onDetach, s)
		s.stopTimeLimitLocked()
		if conn := s.conn; conn != nil {
			kept := mode == KeepAlive && s.process.state != stateDetached && s.socket.keepIdleLocked(conn)
			if !kept {
				fx.closeConn(conn)
			}
		}

		if s.answered {
			s.process.unanswered = 0
		}

		s.process.endSession(fx, s.socket)
	})
}

// sessionLimit ends the time for a request.
type sessionLimit struct {
	timer *poolTimer
	place node[sessionLimit] // in Pool.timed
	// host and path say which request it is.
	host, path string
	exceeded   bool
}

// startTimeLimitLocked kills the process when its request has taken for too long.
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

// TimeIsUp says whether the request took longer than Options.MaxRequestTime, so
// that its process was killed.
func (s *Session) TimeIsUp() (up bool) {
	if s.limit != nil {
		s.process.group.pool.update(func(*effects) { up = s.limit.exceeded })
	}

	return up
}

// Describe says which request the session is for, for the hook that is run when
// it takes too long.
func (s *Session) Describe(host, path string) {
	if s.limit != nil {
		p := s.process.group.pool
		p.update(func(*effects) { s.limit.host, s.limit.path = host, path })
	}
}

func (s *Session) exceedTimeLimit(fx *effects) {
	s.limit.place.leave()
	s.limit.exceeded = true
	pr := s.process
	g := pr.group
	fx.log(g.pool, "A request took longer than it may: killing its process", "app", g.name, "pid", pr.info.PID,
		"host", s.limit.host, "path", s.limit.path, "limit", g.opts.MaxRequestTime.String())
	g.detachAndReconcile(fx, pr)
	if !g.pool.hooks.Has(hooks.MaxRequestTimeReached) {
		pr.killLocked()
		return
	}

	event := hooks.Event{
		Name:        hooks.MaxRequestTimeReached,
		AppRoot:     g.opts.App.Root,
		GroupName:   g.name,
		PID:         pr.info.PID,
		RequestHost: s.limit.host,
		RequestPath: s.limit.path,
	}
	g.pool.wg.Go(func() { pr.killAfterHook(event) })
}

// killAfterHook lets the hook look at the process first. That it fails changes
// nothing.
func (pr *process) killAfterHook(event hooks.Event) {
	p := pr.group.pool
	ctx, cancel := context.WithTimeout(p.spawnCtx, hookTimeout)
	defer cancel()
	defer p.update(func(*effects) { pr.killLocked() })
	if err := p.hooks.Run(ctx, event); err != nil {
		p.cfg.Logger.Error(err, "a hook failed", "hook", string(event.Name), "app", event.GroupName, "pid", event.PID)
	}
}

// killLocked ends a detached process with the sessions it has.
func (pr *process) killLocked() {
	p := pr.group.pool
	pr.stopping = true
	p.stopTimerLocked(pr.drain)
	p.wg.Go(func() { pr.proc.Stop(p.deadCtx) })
}
