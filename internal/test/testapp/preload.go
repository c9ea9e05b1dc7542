package testapp

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/gopassenger/passenger/loaderproto"
)

// A process of a preloader waits for the end of a descriptor before it does
// anything.
const (
	gateVar = paramPrefix + "GATE"
	gateFD  = 3
)

// preloaders are the behaviours of preloaders. A Go program cannot fork, so
// that their processes are the test binary once more, with the behaviour
// worker=..., "http" by default.
func preloaders() map[string]func(*player) {
	return map[string]func(*player){
		// Knows protocol 1.0 only: its workers have its stderr and its process
		// group, and it tells nothing about them. With modern=yes it can do
		// what ours can. spoil=... is what it does wrong, the first times=n
		// times, which a file in the application's directory counts:
		//   die      ends instead of responding to a command
		//   hang     says nothing to a command
		//   garbage  responds to it with garbage
		//   half     responds with half a line and hangs up
		//   foreign  responds with the pid pid=n
		//   error    responds with an error
		//   never-reap  is stopped after the response
		"preloader": preload,
	}
}

type preloading struct {
	*player
	modern bool
}

func preload(p *player) {
	pre := &preloading{player: p, modern: p.param("modern", "no") == "yes"}
	p.handshake()
	path := filepath.Join(p.opts["socket_dir"], "preloader."+strconv.Itoa(os.Getpid()))
	l := p.listen("unix", path)
	ready := &loaderproto.PreloaderReady{Address: loaderproto.Address{Network: "unix", Addr: path}}
	if pre.modern {
		ready.Features = p.opts.Features()
	}

	print("preloader loaded\n")
	check(p.PreloaderReady(ready))
	go func() {
		p.AwaitEnd()
		_ = os.Remove(path)
		os.Exit(0)
	}()

	for {
		conn, err := l.Accept()
		check(err)
		unixConn, ok := conn.(*net.UnixConn)
		if !ok {
			check(fmt.Errorf("not a Unix socket: %T", conn))
		}

		pre.command(unixConn)
	}
}

func (p *preloading) command(conn *net.UnixConn) {
	defer conn.Close()
	first, oob := make([]byte, 64<<10), make([]byte, 128)
	n, oobn, _, _, err := conn.ReadMsgUnix(first, oob)
	check(err)
	br := bufio.NewReader(io.MultiReader(bytes.NewReader(first[:n]), conn))
	_, err = loaderproto.ReadSpawnCommand(br)
	check(err)
	stderr := os.Stderr
	if f := receivedFile(oob[:oobn]); f != nil && p.modern {
		stderr = f
		defer f.Close()
	}

	spoil := ""
	if p.spoils() {
		spoil = p.param("spoil", "")
	}

	switch spoil {
	case "die":
		crash()
	case "hang":
		hang()
	case "garbage":
		_, _ = io.WriteString(conn, "\x00\xff{}\n")
		return
	case "half":
		_, _ = io.WriteString(conn, "OK\n12")
		return
	case "foreign":
		_, _ = io.WriteString(conn, "OK\n"+p.param("pid", "1")+"\n")
		return
	case "error":
		_, _ = io.WriteString(conn, "Error\n!> \nno memory to fork\n")
		return
	}

	p.work(conn, stderr)
	if spoil == "never-reap" {
		check(syscall.Kill(os.Getpid(), syscall.SIGSTOP))
	}
}

// spoils counts the commands in a file, since each preloader is another
// process.
func (p *preloading) spoils() bool {
	name := filepath.Join(p.opts["app_root"], "commands")
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // G304: of the test
	check(err)
	_, err = f.WriteString(".")
	check(err)
	check(f.Close())
	b, err := os.ReadFile(name) //nolint:gosec // G304: of the test
	check(err)

	return len(b) <= p.number("times", 1<<30)
}

// work starts a process on conn and responds to the command.
func (p *preloading) work(conn *net.UnixConn, stderr *os.File) {
	stdio, err := conn.File()
	check(err)
	gate, open, err := os.Pipe()
	check(err)
	env := []string{behaviourVar + "=" + p.param("worker", "http"), gateVar + "=yes"}
	cmd := &exec.Cmd{
		Path:        os.Args[0],
		Args:        os.Args,
		Env:         append(os.Environ(), env...),
		Stdin:       stdio,
		Stdout:      stdio,
		Stderr:      stderr,
		ExtraFiles:  []*os.File{gate},
		SysProcAttr: &syscall.SysProcAttr{Setpgid: p.modern},
	}
	check(cmd.Start())
	_ = stdio.Close()
	_ = gate.Close()
	check(loaderproto.SendSpawnReply(conn, cmd.Process.Pid))
	_ = open.Close()
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		if p.modern {
			exit := loaderproto.WorkerExit{PID: cmd.Process.Pid, Status: cmd.ProcessState.ExitCode()}
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				exit.Signal = int(status.Signal())
			}

			check(p.WorkerExited(exit))
		}
	}()
}

func receivedFile(oob []byte) *os.File {
	messages, err := syscall.ParseSocketControlMessage(oob)
	check(err)

	for i := range messages {
		fds, err := syscall.ParseUnixRights(&messages[i])
		check(err)
		return os.NewFile(uintptr(fds[0]), "stderr of the process")
	}

	return nil
}

// awaitGate waits until the preloader has responded.
func awaitGate() {
	if os.Getenv(gateVar) == "" {
		return
	}

	check(os.Unsetenv(gateVar))
	gate := os.NewFile(gateFD, "gate")
	_, err := io.Copy(io.Discard, gate)
	check(err)
	check(gate.Close())
}
