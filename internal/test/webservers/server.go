package webservers

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/internal/test/printed"
)

const (
	patience = 60 * time.Second
	interval = 5 * time.Millisecond
)

// Server is one that runs, unless it was stopped.
type Server struct {
	Kind
	// Addr is where it listens; Conf the file with its configuration.
	Addr, Conf string
	// Output is what it has printed since it was started.
	Output *printed.Output

	t      TB
	dir    string
	path   string
	cmd    *exec.Cmd
	exited chan struct{}
}

// Start starts a web server, which keeps its files in a directory, with the sites
// that it is to have at an address. It ends with the test.
func Start(t TB, k Kind, dir string, sites func(addr string) string) *Server {
	t.Helper()

	s := &Server{
		Kind: k,
		t:    t,
		dir:  dir,
		path: k.find(t),
		Conf: filepath.Join(dir, "server.conf"),
	}
	for range 5 { // another program may take the port
		s.Addr = freeAddr(t)
		conf := s.nginx
		if k.Apache {
			conf = s.apache
		}

		text := []byte(conf(sites(s.Addr)))
		if err := os.WriteFile(s.Conf, text, 0o644); err != nil { //nolint:gosec // G306: Apache's user reads it
			t.Fatal(err)
		}

		if s.Run() {
			t.Cleanup(s.Stop)
			return s
		}
	}

	t.Fatal("no port is free")

	return nil
}

func freeAddr(t TB) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	return l.Addr().String()
}

// Run starts one that was stopped. It reports whether its port was free.
func (s *Server) Run() bool {
	s.t.Helper()
	args := []string{"-p", s.dir, "-c", s.Conf}
	if s.Apache {
		args = []string{"-f", s.Conf, "-DFOREGROUND"}
	}

	cmd, exited := exec.CommandContext(context.Background(), s.path, args...), make(chan struct{})
	s.cmd, s.exited, s.Output = cmd, exited, &printed.Output{}
	cmd.Stdout, cmd.Stderr = s.Output, s.Output
	cmd.WaitDelay = patience // a child of Apache's may outlive it for a moment, with its output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}

	go func() {
		defer close(exited)
		_ = cmd.Wait() // its output says more

		// Apache forgets children that it has just started when it is asked to end.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}()
	tick := time.NewTicker(interval)
	defer tick.Stop()

	for {
		select {
		case <-exited:
			if output := s.Output.String(); !strings.Contains(strings.ToLower(output), "address already in use") {
				s.t.Fatal("the web server does not start: " + output)
			}

			return false
		case <-tick.C:
			if c, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", s.Addr); err == nil {
				_ = c.Close()
				return true
			}
		}
	}
}

// Stop ends it when all of its requests have got their response, or at once if the test
// has failed.
func (s *Server) Stop() {
	s.t.Helper()
	signal := syscall.SIGQUIT
	if s.Apache {
		signal = syscall.SIGWINCH
	}

	if s.t.Failed() {
		signal = syscall.SIGTERM
	}

	// Until it has begun to look for signals, Apache misses this one.
	again := time.NewTicker(time.Second)
	defer again.Stop()

	for end, ended := time.After(patience), false; !ended; {
		_ = s.cmd.Process.Signal(signal)
		select {
		case <-s.exited:
			ended = true
		case <-again.C:
		case <-end:
			_ = s.cmd.Process.Kill()
			<-s.exited
			s.t.Error("the web server does not end")
			ended = true
		}
	}

	if s.t.Failed() {
		s.t.Logf("the web server: %s", s.Output)
	}
}

// Reload makes it start again without closing its socket.
func (s *Server) Reload() {
	s.t.Helper()
	signal := syscall.SIGHUP
	if s.Apache {
		signal = syscall.SIGUSR1
	}

	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}
