package spawner

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/inherit"
)

// guardScript ends programs when we are gone without a word. A program with a
// start command that only serves on its port does not notice by itself that, and
// whoever could tell it may have been killed with us.
//
// Each line of its stdin is a sign, a program's mark, and the program's pid once it
// has one. The end of stdin is ours: what has not been taken off the list then gets
// SIGTERM, and, with what has left its process group but has the mark in its
// environment, SIGKILL.
const guardScript = `
list=
while read -r sign mark pid; do
	rest=
	for entry in $list; do
		case $entry in "$mark":*) ;; *) rest="$rest $entry" ;; esac
	done
	list=$rest
	if [ "$sign" = + ]; then list="$list $mark:$pid"; fi
done
[ -n "$list" ] || exit 0

signal_groups() {
	alive=1
	for entry in $list; do
		pid=${entry##*:}
		if [ -n "$pid" ] && kill -s "$1" -- "-$pid" 2>/dev/null; then alive=0; fi
	done
	return $alive
}
signal_groups TERM
n=0
while [ $n -lt ` + guardGrace + ` ] && signal_groups 0; do
	sleep 1
	n=$((n + 1))
done
signal_groups KILL

set --
for entry in $list; do set -- "$@" -e "` + MarkerVar + `=${entry%%:*}"; done
n=0
while [ $n -lt 16 ]; do
	found=
	for file in $(grep -lF "$@" /proc/[0-9]*/environ 2>/dev/null); do
		pid=${file#/proc/}
		if kill -s KILL "${pid%/environ}" 2>/dev/null; then found=1; fi
	done
	[ -n "$found" ] || exit 0
	n=$((n + 1))
done
`

// guardGrace is how many seconds programs have between SIGTERM and SIGKILL.
const guardGrace = "5"

// guardTimeout is how long the guard may take to hear us.
const guardTimeout = 5 * time.Second

// guard is a shell that outlives us for as long as it takes to end the programs on
// its list, and runs as their user: it can end nothing else. It is started for the first
// of them. Its methods may be called
// concurrently; they report failures to the log, as programs run without it, too.
type guard struct {
	log      logr.Logger
	identity *identity
	timeout  time.Duration

	mu     sync.Mutex
	closed bool
	// list has the pids of programs by their marks; zero means that it is just being started.
	list map[string]int
	// process is the shell, and input its list; nil means that it does not run.
	process *os.Process
	input   *os.File
	gone    chan struct{}
	// failed reports whether it could not be started, which was logged.
	failed bool
}

// watch puts a program on the list. It comes before the program is started, so that
// there is no moment at which it could be missed.
func (g *guard) watch(mark string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}

	if g.list == nil {
		g.list = map[string]int{}
	}

	g.list[mark] = 0
	g.tell(line("+", mark, 0))
}

// name says what pid a program on the list has, unless it has ended already.
func (g *guard) name(mark string, pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, listed := g.list[mark]; listed {
		g.list[mark] = pid
		g.tell(line("+", mark, pid))
	}
}

// forget takes a program off the list.
func (g *guard) forget(mark string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, listed := g.list[mark]; !listed {
		return
	}

	delete(g.list, mark)
	if g.input == nil {
		return
	}

	g.tell(line("-", mark, 0))

	// That of the server's own user stays: there may be no room for another process later.
	if len(g.list) == 0 && (g.closed || g.identity.switched) {
		g.end()
	}
}

func line(sign, mark string, pid int) string {
	if pid == 0 {
		return fmt.Sprintf("%s %s\n", sign, mark)
	}

	return fmt.Sprintf("%s %s %d\n", sign, mark, pid)
}

// tell writes a line to the guard, or starts another one, which gets the whole list.
func (g *guard) tell(text string) {
	if g.input != nil {
		// One that was stopped reads nothing, and must not hold up each start for ever.
		_ = g.input.SetWriteDeadline(time.Now().Add(g.timeout))
		if _, err := g.input.WriteString(text); err == nil {
			return
		}

		// If it came to life again, it would take the end of its list for the server's, and end all programs.
		_ = g.process.Kill()
		_ = g.input.Close()
		g.input = nil
	}

	if err := g.start(); err != nil && !g.failed {
		g.failed = true
		g.log.Error(err, "programs with a start command would outlive this server if it were killed: cannot start "+
			"the shell that would end them",
			"shell", shell)
	}
}

func (g *guard) start() error {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return err
	}

	defer func() { _ = theirs.Close() }()
	cmd := &exec.Cmd{
		Path:  shell,
		Args:  []string{shell, "-c", guardScript, "passenger-guard"},
		Env:   []string{"PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"},
		Dir:   "/",
		Stdin: theirs,
		// No signal for us from a terminal is for it.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Credential: g.identity.credential()},
	}
	limits := g.identity.limits(true)
	if err := limits.Start(func() error { return inherit.Start(cmd) }); err != nil {
		_ = ours.Close()
		return err
	}

	_ = ours.SetWriteDeadline(time.Now().Add(g.timeout))
	for mark, pid := range g.list {
		if _, err := ours.WriteString(line("+", mark, pid)); err != nil {
			// As in tell.
			_ = cmd.Process.Kill()
			_ = ours.Close()
			_ = cmd.Wait()

			return err
		}
	}

	g.process, g.input, g.failed = cmd.Process, ours, false
	gone := make(chan struct{})
	g.gone = gone
	go g.await(cmd, ours, gone)

	return nil
}

// await puts another guard in the place of one that has ended, unless that was
// killed as soon as it ran.
func (g *guard) await(cmd *exec.Cmd, input *os.File, gone chan struct{}) {
	const leastLife = time.Second
	began := time.Now()
	_ = cmd.Wait()
	close(gone)

	g.mu.Lock()
	defer g.mu.Unlock()
	// It was ended here, or has a successor.
	if g.input != input {
		return
	}

	_ = input.Close()
	g.input = nil
	if len(g.list) > 0 && time.Since(began) > leastLife {
		g.log.Info("the shell that ends programs if this server is killed has ended, and is started again", "status",
			cmd.ProcessState.String())
		g.tell("")
	}
}

// close waits for the guard's end if nothing is on the list. Else it ends as soon as
// nothing is.
func (g *guard) close() {
	g.mu.Lock()
	g.closed = true
	var gone chan struct{}
	if len(g.list) == 0 {
		gone = g.gone
		g.end()
	}

	g.mu.Unlock()

	if gone != nil {
		<-gone
	}
}

func (g *guard) end() {
	if g.input != nil {
		_ = g.input.Close()
	}

	g.input = nil
}

// guards are those of each user.
type guards struct {
	log logr.Logger

	mu     sync.Mutex
	closed bool
	byUser map[string]*guard
}

// guard returns the one that ends programs of the attempt's user.
func (a *attempt) guard() *guard {
	all, key := &a.factory.guards, a.identity.String()
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.byUser == nil {
		all.byUser = map[string]*guard{}
	}

	g := all.byUser[key]
	if g == nil {
		g = &guard{log: all.log, identity: a.identity, closed: all.closed, timeout: guardTimeout}
		all.byUser[key] = g
	}

	return g
}

// close ends each guard as soon as its list is empty.
func (g *guards) close() {
	g.mu.Lock()
	g.closed = true
	all := slices.Collect(maps.Values(g.byUser))
	g.mu.Unlock()

	for _, guard := range all {
		guard.close()
	}
}
