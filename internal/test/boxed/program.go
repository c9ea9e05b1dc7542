package boxed

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/internal/test/printed"
)

const (
	// Deadline is for what has to happen, also on a machine that is busy.
	Deadline = time.Minute
	// Patience is for what may be left behind for a moment.
	Patience = 15 * time.Second
)

// Program is one that runs beside a test. Its zero value, with Cmd set, is ready to start.
type Program struct {
	Cmd *exec.Cmd
	// Stdout and Stderr are what it has printed, unless Cmd says where that goes; Merged has both go to Stdout.
	Stdout, Stderr printed.Output
	Merged         bool
	// Ended is closed when it has ended, which Cmd.ProcessState tells.
	Ended chan struct{}
	// Judged is for a test that checks itself how the program ends.
	Judged bool
}

// Start starts the program. At the end of the test it is stopped by stop, unless it is Judged, and killed if it is
// still there. What it has printed is logged if the test has failed.
func (p *Program) Start(t TB, stop func()) {
	t.Helper()
	if p.Cmd.Stdout == nil {
		p.Cmd.Stdout = &p.Stdout
	}

	if p.Cmd.Stderr == nil {
		p.Cmd.Stderr = &p.Stderr
	}

	if p.Merged {
		p.Cmd.Stderr = p.Cmd.Stdout
	}

	// What it has started may hold its output open.
	p.Cmd.WaitDelay = Patience
	p.Ended = make(chan struct{})
	must(t, p.Cmd.Start())

	var waited sync.WaitGroup
	waited.Go(func() {
		// How it ended is in ProcessState.
		_ = p.Cmd.Wait()
		close(p.Ended)
	})
	t.Cleanup(func() {
		defer waited.Wait()
		// It may still be there.
		defer func() { _ = p.Cmd.Process.Kill() }()
		if !p.Judged {
			stop()
		}

		if t.Failed() {
			t.Log(fmt.Sprintf("stdout:\n%.20000s\nstderr:\n%.20000s", &p.Stdout, &p.Stderr))
		}
	})
}

// Await waits until the program has printed a text to its standard output n times.
func (p *Program) Await(t TB, text string, times int) {
	t.Helper()
	p.Stdout.Await(t, text, times, p.Ended)
}

var accessible = regexp.MustCompile(`(?m)^Accessible via: +(.+?)/?$`)

// Address waits until passenger start serves, and returns the URL of its banner, without a slash at the end; that of a
// Unix socket is unix:PATH.
func (p *Program) Address(t TB) string {
	t.Helper()
	p.Await(t, "You can stop it", 1)

	return AddressIn(t, p.Stdout.String())
}

// AddressIn is that of a banner.
func AddressIn(t TB, banner string) string {
	t.Helper()

	found := accessible.FindStringSubmatch(banner)
	if found == nil {
		t.Fatal("the banner has no address: " + banner)
	}

	return found[1]
}

// Signal sends a signal to a program that has not ended.
func (p *Program) Signal(t TB, sig syscall.Signal) {
	t.Helper()
	must(t, p.Cmd.Process.Signal(sig))
}

// Stop ends the program in order. It must not have crashed.
func (p *Program) Stop(t TB) {
	t.Helper()
	p.Judged = true
	// If it has ended, its status is looked at.
	_ = p.Cmd.Process.Signal(syscall.SIGTERM)
	p.RequireExit(t, 0)
	p.RequireNoCrash(t)
}

// RequireExit waits for the end of the program.
func (p *Program) RequireExit(t TB, status int) {
	t.Helper()

	p.Judged = true
	select {
	case <-p.Ended:
	case <-time.After(Deadline):
		t.Fatal("the program does not end: " + p.Stderr.String())
	}

	if got := p.Cmd.ProcessState.ExitCode(); got != status {
		t.Fatal(fmt.Sprintf("the program ended with %v, not with status %d: %s%s", p.Cmd.ProcessState, status,
			&p.Stdout, &p.Stderr))
	}
}

// RequireNoCrash checks that the program has not printed what Go prints of a crash.
func (p *Program) RequireNoCrash(t TB) {
	t.Helper()

	for _, crash := range []string{"panic", "DATA RACE"} {
		if strings.Contains(p.Stdout.String()+p.Stderr.String(), crash) {
			t.Fatal(fmt.Sprintf("%q is in the output: %.20000s%.20000s", crash, &p.Stdout, &p.Stderr))
		}
	}
}
