package testapp

import (
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/gopassenger/passenger/loaderproto"
)

const takeControl = "!> I have control 1.0\n"

// failures are the behaviours of applications that do not get ready. A
// parameter print=text is printed to stderr first by all of them.
func failures() map[string]func(*player) {
	all := map[string]func(*player){
		// Ends with status=n before the handshake, or after the request.
		"exit":               func(p *player) { os.Exit(p.number("status", 0)) },
		"exit-after-request": func(p *player) { p.handshake(); os.Exit(p.number("status", 0)) },
		// Kills itself.
		"crash":               func(*player) { crash() },
		"crash-after-request": func(p *player) { p.handshake(); crash() },
		// Says nothing, at all or after the request.
		"silent":               func(*player) { hang() },
		"silent-after-request": func(p *player) { p.handshake(); hang() },
		// Does not read the request.
		"deaf": func(*player) { print(takeControl); hang() },
		// Closes its end and continues.
		"close": func(*player) { _ = os.Stdin.Close(); _ = os.Stdout.Close(); hang() },
		// Says text=... as it is, instead of the handshake and after the
		// request, and hangs or, with then=exit, ends; {dir} is the directory
		// for sockets, and {socket} the path of one that exists.
		"say":       func(p *player) { p.say() },
		"say-after": func(p *player) { p.handshake(); p.say() },
		// Says a line of length=n without a newline.
		"long-line": func(p *player) { print("!> " + strings.Repeat("x", p.number("length", 0))); hang() },
		// Reports text=..., with html=true as HTML.
		"error":         func(p *player) { p.handshake(); p.report() },
		"error-at-once": func(p *player) { p.report() },
		// Ends and leaves a process that has its stdout; with escape=yes in a
		// session of its own.
		"orphan": func(p *player) { startGrandchild(p.param("escape", "no") == "yes"); os.Exit(3) },
		// What startGrandchild starts.
		"grandchild": func(*player) { signal.Ignore(syscall.SIGTERM); print("grandchild\n"); hang() },
	}
	for name, play := range all {
		all[name] = func(p *player) {
			_, _ = os.Stderr.WriteString(p.param("print", ""))
			play(p)
		}
	}

	return all
}

func crash() {
	check(syscall.Kill(os.Getpid(), syscall.SIGKILL))
	hang()
}

func (p *player) say() {
	text := p.param("text", "")
	if strings.Contains(text, "{socket}") {
		p.listen("unix", p.socketPath())
		text = strings.ReplaceAll(text, "{socket}", p.socketPath())
	}

	print(strings.ReplaceAll(text, "{dir}", p.opts["socket_dir"]))
	if p.param("then", "hang") == "exit" {
		os.Exit(p.number("status", 0))
	}

	hang()
}

func (p *player) report() {
	check(p.Error(loaderproto.Message{Text: p.param("text", ""), HTML: p.param("html", "") == "true"}))
	os.Exit(1)
}

// startGrandchild starts a process with our stdio and says its pid.
func startGrandchild(escape bool) int {
	cmd := &exec.Cmd{
		Path:        os.Args[0],
		Args:        os.Args,
		Env:         append(os.Environ(), behaviourVar+"=grandchild"),
		Stdin:       os.Stdin,
		Stdout:      os.Stderr,
		Stderr:      os.Stderr,
		ExtraFiles:  []*os.File{os.Stdout},
		SysProcAttr: &syscall.SysProcAttr{Setsid: escape},
	}
	check(cmd.Start())
	_, _ = os.Stderr.WriteString("grandchild pid " + strconv.Itoa(cmd.Process.Pid) + "\n")

	return cmd.Process.Pid
}
