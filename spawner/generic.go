package spawner

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/loaderproto"
)

// The waits between attempts to find a program serving.
const (
	firstProbeWait = 2 * time.Millisecond
	lastProbeWait  = 100 * time.Millisecond
	probeTimeout   = 5 * time.Second
)

// errServes ends the wait for a handshake.
var errServes = errors.New("the program serves on its port")

// allotAddress tells the program where to serve: on a Unix socket if its command names
// $SOCKET, and else on a port.
func (a *attempt) allotAddress() error {
	if !a.command.wantsSocket() {
		return a.allotPort()
	}

	a.socket = filepath.Join(a.sockets.path, ownSocketName)
	a.command.use(socketVariable, a.socket)

	return nil
}

func (a *attempt) allotPort() error {
	port, err := a.factory.ports.allot()
	if err != nil {
		return &fault{problem: noPort, err: err}
	}

	a.port = port
	a.command.use(portVariable, strconv.Itoa(port))

	return nil
}

// manner is how a program turns out to work; the first thing it does decides.
type manner struct {
	mu     sync.Mutex
	speaks bool
	serves bool
}

func (m *manner) decide(which *bool) (first bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.speaks || m.serves {
		return false
	}

	*which = true

	return true
}

func (m *manner) isKnown() bool {
	m.mu.Lock()
	defer m.mu.Unlock()

	return m.speaks || m.serves
}

// inputCheck is how long a program waits for input until it is looked for, and then until it is believed to.
const inputCheck = 500 * time.Millisecond

// endInput ends the input of a program that waits for some before it does anything else, as a loader would not: that
// says something first.
func (a *attempt) endInput(ctx context.Context, m *manner) {
	ticker := time.NewTicker(inputCheck)
	defer ticker.Stop()

	for waits := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-a.child.exited:
			return
		case <-ticker.C:
		}

		before := waits
		waits = a.waitsForInput()

		switch {
		case m.isKnown():
			return
		case before && waits:
			a.config.Logger.Info("the program waits for input at its start, and an application has none: its "+
				"standard input was ended", "app", a.app.Name(), "pid", a.child.pid)
			_ = a.child.admin.CloseWrite() // fails when the process is gone

			return
		}
	}
}

// awaitServing waits until a program either is ready by the handshake or
// serves on its port.
func (a *attempt) awaitServing(ctx context.Context) (*loaderproto.Ready, io.Reader, error) {
	a.journal.enter(StepServe)
	var m manner
	probing, stopProbing := context.WithDeadline(ctx, a.started.Add(a.app.StartTimeout))
	defer stopProbing()
	listening, stopListening := context.WithCancelCause(ctx)
	defer stopListening(nil)
	var probeErr error
	probed := make(chan struct{})
	go func() {
		defer close(probed)
		if probeErr = a.probe(probing); probeErr == nil && !m.decide(&m.serves) {
			return
		}

		// It serves, or never will on this port: no handshake is waited for any more.
		if probeErr == nil || errors.Is(probeErr, errPortTaken) {
			stopListening(errServes)
		}
	}()
	n := a.negotiation(a.request())
	enter := n.Progress
	n.Progress = func(s loaderproto.Step) {
		if s == loaderproto.AwaitHandshake {
			return // whether there will be one is not known
		}

		if m.decide(&m.speaks) {
			stopProbing()
		}

		enter(s)
	}

	var watching sync.WaitGroup
	watching.Go(func() { a.endInput(probing, &m) })

	var ready *loaderproto.Ready
	var rest io.Reader
	err := a.converse(listening, func(conn io.ReadWriter) (err error) {
		ready, rest, err = n.Negotiate(conn)
		return err
	})
	silent := isKind(err, loaderproto.ExitedEarly, loaderproto.TruncatedLine) && !m.speaks
	if silent {
		// It has no more to say there: it ends, or its input and output are elsewhere, as those of a daemon with a log
		// file. The probes tell.
		<-probed
	}

	stopProbing()
	watching.Wait()
	// What the goroutines have found may be read from here on.
	<-probed

	switch {
	case ctx.Err() != nil:
		return nil, nil, canceled(ctx)
	case errors.Is(probeErr, errPortTaken):
		return nil, nil, probeErr
	case m.serves:
		a.byPort = true
		a.plan(portSteps)

		return a.servingReady(), a.child.in, nil
	// A program that cannot bind its port ends with an error of its own.
	case err != nil && !m.speaks && a.portIsForeign():
		return nil, nil, errPortTaken
	case isKind(err, loaderproto.TimedOut) && !m.speaks, silent && a.child.lives():
		return nil, nil, a.notServingFault(err, probeErr)
	}

	return ready, rest, err
}

func (a *attempt) notServingFault(err, probeErr error) error {
	e := (*loaderproto.Error)(nil)
	if errors.As(err, &e) && e.Line != "" {
		return err // it had begun to speak
	}

	if errors.Is(probeErr, syscall.ENETUNREACH) {
		return &fault{problem: loopbackDown, err: probeErr}
	}

	if a.socket != "" {
		return &fault{problem: notServingSocket, subject: a.socket, err: err}
	}

	if at := a.elsewhere(); at != "" {
		return &fault{problem: servingElsewhere, subject: at, err: err}
	}

	if !isKind(err, loaderproto.TimedOut) {
		return err // it could not say anything any more, which says more
	}

	return &fault{problem: notServing, err: err}
}

func (a *attempt) servingReady() *loaderproto.Ready {
	address := loaderproto.Address{Network: "unix", Addr: a.socket}
	if a.socket == "" {
		address = tcpAddress(a.host, a.port)
	}

	concurrency := 0
	if isOneAtATime(a.command.argv) {
		concurrency = 1
		a.reportOneAtATime()
	}

	return &loaderproto.Ready{Sockets: []loaderproto.Socket{{
		Name:        "main",
		Address:     address,
		Protocol:    loaderproto.HTTPSession,
		Concurrency: concurrency,
	}}}
}

// oneAtATime are programs that serve one request after the other, whose names are followed by these arguments.
var oneAtATime = []struct {
	program string
	args    []string
}{
	{"php", []string{"-S"}},
	{"php", []string{"artisan", "serve"}},
	{"flask", []string{"run", "--without-threads"}},
	{"python", []string{"manage.py", "runserver", "--nothreading"}},
	{"python", []string{"-m", "bottle"}},
	{"plackup", nil},
	{"python", []string{"-m", "wsgiref.simple_server"}},
}

// versionEnd is what may follow the name of an interpreter.
var versionEnd = lazy(`[\d.]+$`)

// isOneAtATime reports whether a program is known to serve one request after the other, as long as it is not told of
// workers.
func isOneAtATime(argv []string) bool {
	name := versionEnd().ReplaceAllString(filepath.Base(argv[0]), "")
	for _, p := range oneAtATime {
		if name == p.program && containsAll(argv[1:], p.args) {
			return !slices.ContainsFunc(argv[1:], func(arg string) bool {
				// By the last two, plackup and bottle take another server.
				return strings.HasPrefix(arg, "--workers") || arg == "-s" || strings.HasPrefix(arg, "--server")
			})
		}
	}

	return false
}

func containsAll(args, wanted []string) bool {
	for _, arg := range wanted {
		if !slices.Contains(args, arg) {
			return false
		}
	}

	return true
}

// reportOneAtATime logs, once, that further requests go to further processes.
func (a *attempt) reportOneAtATime() {
	program := strings.Join(a.command.argv, " ")
	if a.factory.isNew("one at a time: " + a.app.Name()) {
		a.config.Logger.Info("the program takes one request at a time, and others go to further processes: "+
			"if it takes more, say how many by concurrency", "app", a.app.Name(), "program", program)
	}
}

// portIsForeign reports whether another program listens on the port, and this one
// nowhere on it.
func (a *attempt) portIsForeign() (foreign bool) {
	if a.port == 0 {
		return false
	}

	for _, host := range loopback {
		ours, known := a.listens(host)
		if ours {
			return false
		}

		foreign = foreign || known
	}

	return foreign
}

// probe returns nil when the program serves.
func (a *attempt) probe(ctx context.Context) error {
	var last error
	timer := time.NewTimer(firstProbeWait)
	defer timer.Stop()

	for wait := firstProbeWait; ; wait = min(2*wait, lastProbeWait) {
		err := a.probeOnce(ctx)
		if err == nil || errors.Is(err, errPortTaken) {
			return err
		}

		// That the time was over says less than what was wrong before.
		if last == nil || ctx.Err() == nil {
			last = err
		}

		timer.Reset(wait)

		select {
		case <-timer.C:
		case <-a.child.exited:
			return last
		case <-ctx.Done():
			return last
		}
	}
}

// probeOnce looks whether the program serves, and where: connections go to the very
// address at which it listens, as on the other one there may be another user's program.
func (a *attempt) probeOnce(ctx context.Context) error {
	if a.socket != "" {
		address := loaderproto.Address{Network: "unix", Addr: a.socket}
		if a.command.appType.Name == phpType {
			return a.probeFastCGI(ctx, address)
		}

		return a.probeAt(ctx, address)
	}

	var first error

	taken := false
	for _, host := range loopback {
		err := a.probeAt(ctx, tcpAddress(host, a.port))
		if err == nil {
			// Where the system does not tell whose it is, the connection has to be proof enough.
			if ours, known := a.listens(host); ours || !known {
				a.host = host
				return nil
			}

			err = errPeer
		}

		taken = taken || errors.Is(err, errPeer)
		if first == nil {
			first = err
		}
	}

	if taken {
		return errPortTaken
	}

	return first
}

// probeAt returns nil when it can connect to the program.
func (a *attempt) probeAt(ctx context.Context, address loaderproto.Address) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := dialer(address, a.owner())(ctx)
	if err != nil {
		return err
	}

	return conn.Close()
}
