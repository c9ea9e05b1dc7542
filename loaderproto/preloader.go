package loaderproto

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

const (
	spawnCommand = "spawn"
	replyOK      = "OK"
)

// SendSpawnCommand asks a preloader to fork a worker.
func SendSpawnCommand(w io.Writer, r *Request) error {
	b, e := r.encodePairs(r.appPairs())
	if e != nil {
		return e
	}

	b = append([]byte(spawnCommand+"\n"), b...)
	if _, err := w.Write(append(b, '\n')); err != nil {
		return writeFailure(err, SendRequest)
	}

	return nil
}

// ReadSpawnReply reads the reply of a preloader: the PID of the worker, which then runs a handshake
// of its own on the rest of the connection. The PID is only a claim and must not be trusted.
func ReadSpawnReply(r io.Reader) (pid int, rest io.Reader, err error) {
	br := bufio.NewReader(r)
	line, err := plainLine(br)
	if err != nil {
		return 0, nil, firstLineFailure(err, AwaitReply, line)
	}

	switch line {
	case replyOK:
	case errorMessage:
		m := &markedLines{br: br, noise: func([]byte) {}}
		return 0, nil, m.readMessage(func(Step) {})
	default:
		return 0, nil, fail(Refused, AwaitReply, line)
	}

	line, err = plainLine(br)
	if err != nil {
		return 0, nil, firstLineFailure(err, AwaitReply, line)
	}

	pid, ok := parsePID(line)
	if !ok {
		return 0, nil, fail(BadPID, AwaitReply, line)
	}

	return pid, br, nil
}

// PreloaderReady is the reply of a preloader that takes commands.
type PreloaderReady struct {
	// Address is the socket for commands.
	Address Address
	// Features are those of [Request.Features] that the preloader accepted.
	Features []string
}

// HasFeature reports whether both sides agreed on a feature.
func (r *PreloaderReady) HasFeature(name string) bool { return slices.Contains(r.Features, name) }

func (r *PreloaderReady) add(name, value string, offered []string) (e *Error) {
	switch {
	case name == "socket" && r.Address != Address{}:
		return fail(TooManySockets, ReadReady, value)
	case name == "socket":
		r.Address, e = parseAddress(value)
		return e
	// Without an offer, this is version 1.0, which does not know the key.
	case name == "features" && len(offered) > 0:
		r.Features = append(r.Features, agreed(value, offered)...)
		return nil
	}

	return fail(UnknownKey, ReadReady, name)
}

// PreloaderReady reports where the preloader takes commands.
func (l *Loader) PreloaderReady(r *PreloaderReady) error {
	if _, e := parseAddress(r.Address.String()); e != nil {
		return e
	}

	pairs := []pair{{"socket", r.Address.String()}}
	if len(r.Features) > 0 {
		pairs = append(pairs, pair{"features", strings.Join(r.Features, " ")})
	}

	return l.sendReady(pairs)
}

// WorkerExit is how a worker ended, as its preloader reports it. It is only a claim and must not be
// trusted.
type WorkerExit struct {
	PID int
	// Status is the exit status; -1 means that a signal ended the worker.
	Status int
	// Signal is that signal, else 0.
	Signal int
}

const workerExit = "worker_exit: "

func (w WorkerExit) String() string {
	if w.Signal != 0 {
		return fmt.Sprintf("%d signal %d", w.PID, w.Signal)
	}

	return fmt.Sprintf("%d exit %d", w.PID, w.Status)
}

func parseWorkerExit(s string) (w WorkerExit, ok bool) {
	f := strings.Split(s, " ")
	if len(f) != 3 {
		return w, false
	}

	if w.PID, ok = parsePID(f[0]); !ok {
		return w, false
	}

	n, err := strconv.ParseUint(f[2], 10, 8)
	switch {
	case err != nil:
		return w, false
	case f[1] == "exit":
		w.Status = int(n)
	case f[1] == "signal" && n > 0:
		w.Status, w.Signal = -1, int(n)
	default:
		return w, false
	}

	return w, true
}

// WorkerExited reports the end of a worker, if [FeatureWorkerExits] was agreed on.
func (l *Loader) WorkerExited(w WorkerExit) error {
	if _, ok := parseWorkerExit(w.String()); !ok {
		return fail(BadRequest, ReadReady, w.String())
	}

	// The newline ends a line that the application may have begun.
	if _, err := fmt.Fprintf(l.w, "\n%s%s%s\n", marker, workerExit, w); err != nil {
		return writeFailure(err, ReadReady)
	}

	return nil
}

// ReadWorkerExits reads what a preloader prints after its Ready block until the stream ends. It
// calls exited for each end of a worker, and passes everything else to noise. It returns the error
// that ended the stream, nil for io.EOF.
func ReadWorkerExits(r io.Reader, noise func([]byte), exited func(WorkerExit)) error {
	lines := newMarkedLines(r, noise)
	for {
		line, err := lines.next()
		switch {
		case errors.Is(err, errTooLong):
			lines.noise([]byte(line))
			continue
		case err != nil:
			if line != "" {
				lines.noise([]byte(line))
			}

			if errors.Is(err, io.EOF) {
				return nil
			}

			return err
		}

		said, ok := strings.CutPrefix(line, workerExit)
		w, valid := parseWorkerExit(said)
		if !ok || !valid {
			lines.noise([]byte(marker + line + "\n"))
			continue
		}

		exited(w)
	}
}

// ErrUnknownCommand is returned by [ReadSpawnCommand] for a command other than spawn.
var ErrUnknownCommand = errors.New("unknown preloader command")

// ReadSpawnCommand reads what [SendSpawnCommand] sent. Bytes after the command stay in br.
func ReadSpawnCommand(br *bufio.Reader) (Options, error) {
	line, err := plainLine(br)
	if err != nil {
		return nil, firstLineFailure(err, SendRequest, line)
	}

	if line != spawnCommand {
		e := fail(UnexpectedLine, SendRequest, line)
		e.Err = ErrUnknownCommand
		return nil, e
	}

	return readOptions(br)
}

// SendSpawnReply sends what [ReadSpawnReply] reads.
func SendSpawnReply(w io.Writer, pid int) error {
	line := strconv.Itoa(pid)
	if _, ok := parsePID(line); !ok {
		return fail(BadPID, AwaitReply, line)
	}

	if _, err := io.WriteString(w, replyOK+"\n"+line+"\n"); err != nil {
		return writeFailure(err, AwaitReply)
	}

	return nil
}
