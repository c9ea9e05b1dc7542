package watchdog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/internal/watchdog"
)

// The test binary plays the agents: what it is to do is their Config.
const roleVariable = "WATCHDOG_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "agent":
		os.Exit(playAgent())
	case "watchdog":
		os.Exit(playWatchdog())
	case "child":
		// What an agent has started, which ends only when it is killed.
		signal.Ignore(syscall.SIGTERM)

		select {}
	}

	os.Exit(leakgate.Package(m.Run))
}

// part is what an agent of the tests does.
type part struct {
	// Dir is where it leaves files that tell what it has done, Name is its own.
	Dir, Name string
	// Fail is the error that it reports instead of serving.
	Fail string
	// Die: it ends before it serves, with this status and 1.
	Die int
	// DieAfter is the number of starts after which it does so.
	DieAfter int
	// Mute reports whether it never says that it serves.
	Mute bool
	// Quit reports whether it ends with success as soon as it serves.
	Quit bool
	// Crash reports whether it dies as soon as it serves.
	Crash bool
	// Slow reports whether it does not end when it is asked to, Deaf whether also not when it has to.
	Slow, Deaf bool
	// Child reports whether it starts a process that does not end by itself, Orphan whether so does one
	// that has ended since.
	Child, Orphan bool
	// Protocol is what it speaks; empty means anything.
	Protocol string
	// Secret is what it sends by its listener, with its pid.
	Secret string
}

func playAgent() int {
	parent, err := watchdog.Attach()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}

	var p part
	if err := json.Unmarshal(parent.Config, &p); err != nil {
		_ = parent.Fail(err, nil)
		return 1
	}

	starts := p.note(p.Name+".starts", "x")
	if p.Protocol != "" && p.Protocol != parent.Protocol {
		p.Fail = "the protocol is " + parent.Protocol
	}

	if p.Fail != "" {
		_ = parent.Fail(errors.New(p.Fail), []string{"why"})
		return 1
	}

	if p.Die != 0 && starts > p.DieAfter {
		return p.Die
	}

	if p.Mute {
		select {}
	}

	if p.Child {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), roleVariable+"=child")
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := child.Start(); err != nil {
			_ = parent.Fail(err, nil)
			return 1
		}

		p.write(p.Name+".child", strconv.Itoa(child.Process.Pid))
	}

	if p.Orphan {
		shell := exec.Command("/bin/sh", "-c", `"$0" >/dev/null 2>&1 & echo $!`, os.Args[0])
		shell.Env = append(os.Environ(), roleVariable+"=child")
		pid, err := shell.Output()
		if err != nil {
			_ = parent.Fail(err, nil)
			return 1
		}

		p.write(p.Name+".orphan", strings.TrimSpace(string(pid)))
	}

	yield := func() {}
	if f := parent.Files["http"]; f != nil {
		l, err := net.FileListener(f)
		if err != nil {
			_ = parent.Fail(err, nil)
			return 1
		}

		go p.serve(l)
		yield = func() { _ = l.Close() }
	}

	score, _ := os.ReadFile("/proc/self/oom_score_adj")
	if err := parent.Ready(map[string]string{"name": p.Name, "oom": strings.TrimSpace(string(score))}); err != nil {
		return 1
	}

	_ = parent.Tell(p.Secret) // that the watchdog has gone meanwhile shows in obey

	go func() {
		for q := range parent.Questions() {
			if q.On != "nothing" {
				_ = q.Answer(q.On + " of " + p.Secret)
			}
		}
	}()

	switch {
	case p.Quit:
		return 0
	case p.Crash:
		return 9
	}

	return p.obey(parent, yield)
}

func (p *part) obey(parent *watchdog.Parent, yield func()) int {
	for command := range parent.Commands() {
		switch {
		case command == watchdog.Replaced:
			yield()
			_ = parent.Yielded()
		case command == watchdog.Abort && p.Deaf:

			// It does not hear that either.
		case command == watchdog.Abort:
			return 0
		case command != watchdog.Shutdown:
			p.write("command", command)
		case !p.Deaf && !p.Slow:
			p.note("ended", p.Name+"\n")
			return 0
		}
	}

	<-parent.Gone()
	p.write("gone", strconv.Itoa(os.Getpid()))

	return 0
}

// serve sends each connection what it knows.
func (p *part) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}

		_, _ = io.WriteString(c, p.Secret+" "+strconv.Itoa(os.Getpid()))
		_ = c.Close()
	}
}

// note adds to a file and returns its length.
func (p *part) note(name, text string) int {
	f, err := os.OpenFile(filepath.Join(p.Dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 0
	}
	defer f.Close()
	_, _ = f.WriteString(text)
	info, err := f.Stat()
	if err != nil {
		return 0
	}

	return int(info.Size())
}

// write makes a file that is whole as soon as it is there.
func (p *part) write(name, text string) {
	path := filepath.Join(p.Dir, name)
	_ = os.WriteFile(path+"~", []byte(text), 0o600)
	_ = os.Rename(path+"~", path)
}

// playWatchdog has an agent, and prints when it serves. It never ends.
func playWatchdog() int {
	p := part{Dir: os.Getenv("WATCHDOG_TEST_DIR"), Name: "core"}
	_, err := watchdog.Start(context.Background(), watchdog.Config{Agents: []watchdog.Agent{{
		Name:    "core",
		Command: command,
		Config:  p,
	}}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}

	fmt.Println("serving")

	select {}
}

func command() *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=agent", "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr

	return cmd
}
