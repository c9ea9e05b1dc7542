package spawnertest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/gopassenger/passenger/internal/test/pipenet"
	"github.com/gopassenger/passenger/loaderproto"
)

// socket is where a process listens: a server that begins at the first connection, or a real
// listener.
type socket struct {
	process *Process
	address loaderproto.Address

	mu     sync.Mutex
	pipes  *pipenet.Listener
	server *http.Server
	real   net.Listener
	closed bool
}

func (s *socket) listen(ctx context.Context, script *Script, i int) error {
	name := strconv.Itoa(s.process.info.PID) + "." + strconv.Itoa(i)
	s.address = loaderproto.Address{Network: "unix", Addr: "/dummy/" + name}
	if script.UnixDir == "" {
		return nil
	}

	s.address.Addr = filepath.Join(script.UnixDir, "dummy."+name)
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", s.address.Addr)
	if err != nil {
		return err
	}

	s.real = l
	s.serve(script, l)

	return nil
}

// serve starts the server for the connections of l.
func (s *socket) serve(script *Script, l net.Listener) {
	p := s.process
	if h := script.handler(p); h != nil && script.ServeConn == nil {
		s.server = &http.Server{
			Handler:           h,
			ReadHeaderTimeout: time.Hour,
			ConnState: func(c net.Conn, state http.ConnState) {
				switch state {
				case http.StateNew:
					_ = p.track(c)
				case http.StateClosed:
					p.forget(c)
				case http.StateActive, http.StateIdle, http.StateHijacked:
				}
			},
		}
		go func() { _ = s.server.Serve(l) }()

		return
	}

	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}

			if p.track(c) != nil {
				_ = c.Close()
				return
			}

			if script.ServeConn != nil {
				go s.serveConn(script, c)
			}
		}
	}()
}

func (s *socket) serveConn(script *Script, c net.Conn) {
	defer s.process.forget(c)
	defer func() { _ = c.Close() }()
	script.ServeConn(s.process, c)
}

func (s *socket) dial(ctx context.Context) (net.Conn, error) {
	script := s.process.factory.current(s.process.app.Name())
	if script.BeforeDial != nil {
		if err := script.BeforeDial(ctx, s.process); err != nil {
			return nil, err
		}
	}

	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}

	if s.real != nil {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.address.Addr)
	}

	here, there := net.Pipe()
	if err := s.process.track(there); err != nil {
		return nil, err
	}

	c := &pipeConn{Conn: here, there: there, process: s.process}
	if script.ServeConn != nil {
		go s.serveConn(&script, there)
		return c, nil
	}

	if pipes := s.open(&script); pipes != nil {
		if err := pipes.Connect(ctx, there); err != nil {
			_ = c.Close()
			if errors.Is(err, net.ErrClosed) {
				err = refused()
			}

			return nil, err
		}
	}

	return c, nil
}

// open returns the listener of the process's HTTP server, or nil if it has none.
func (s *socket) open(script *Script) *pipenet.Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pipes != nil || s.closed {
		return s.pipes
	}

	h := script.handler(s.process)
	if h == nil {
		return nil
	}

	s.pipes = pipenet.NewListener(&net.UnixAddr{Net: "unix", Name: "pipe"})
	s.serve(script, s.pipes)

	return s.pipes
}

func (s *socket) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.server != nil {
		_ = s.server.Close()
	}

	if s.pipes != nil {
		_ = s.pipes.Close()
	}

	if s.real != nil {
		_ = s.real.Close()
	}
}

// pipeConn is the caller's end of a connection.
type pipeConn struct {
	net.Conn
	there   net.Conn
	process *Process
}

func (c *pipeConn) Close() error {
	c.process.forget(c.there)
	return c.Conn.Close()
}
