package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// command is a program of a peer.
type command struct {
	argv []string
	dir  string
	env  []string
	// front matches the titles of those of its processes that pass requests
	// on; the others are the application. Nil means that there are none.
	front *regexp.Regexp
}

// child is a command that runs, under a supervisor.
type child struct {
	command
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	stop context.CancelFunc
}

func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// start starts a command whose output goes to a file in dir. It ends with ctx.
func (c *command) start(ctx context.Context, self, dir string) (*child, error) {
	name := filepath.Base(c.argv[0])
	log, err := os.CreateTemp(dir, name+"-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	ctx, stop := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, self, append([]string{"supervise"}, c.argv...)...)
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		stop()
		return nil, err
	}

	cmd.Cancel = stdin.Close
	cmd.WaitDelay = termGrace + 5*time.Second
	if err := cmd.Start(); err != nil {
		stop()
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}

	running := &child{
		command: *c,
		cmd:     cmd,
		log:     log.Name(),
		done:    make(chan struct{}),
		stop:    stop,
	}
	go func() {
		_ = cmd.Wait() // what the program said of its end is in the log
		close(running.done)
	}()

	return running, nil
}

// end ends it with all that it has started.
func (c *child) end() {
	c.stop()
	<-c.done
}

// complaint is the end of what it has printed.
func (c *child) complaint() string {
	const most = 800
	text, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}

	return strings.TrimSpace(string(text[max(0, len(text)-most):]))
}
