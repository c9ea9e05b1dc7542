package watchdog

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// ErrNoParent means that a program was not started by a watchdog.
var ErrNoParent = errors.New("this is not for people: the watchdog runs it")

// Parent is the watchdog as its agent sees it. Its methods may be called
// concurrently.
type Parent struct {
	// Config is what the watchdog has for this agent, see Agent.Config.
	Config json.RawMessage
	// Protocol is Agent.Protocol. An agent that has another one should Fail.
	Protocol string
	// Files are what it lends, by their names.
	Files map[string]*os.File

	link      *link
	commands  chan string
	questions chan Question
	gone      chan struct{}
	told      sync.Once
}

// Attach returns the watchdog that has started this process. It is to be called
// first, and once: it makes sure that processes which this one starts inherit
// neither the files nor what protects the watchdog.
//
// Errors: ErrNoParent; others if the watchdog did not say what to do.
func Attach() (*Parent, error) {
	if os.Getenv(feedbackVariable) == "" {
		return nil, ErrNoParent
	}

	if err := os.Unsetenv(feedbackVariable); err != nil {
		return nil, err
	}

	syscall.CloseOnExec(feedbackFD)
	socket := os.NewFile(feedbackFD, "watchdog")
	if socket == nil {
		return nil, ErrNoParent
	}

	l, err := newLink(socket)
	// The link has a duplicate.
	_ = socket.Close()
	if err != nil {
		return nil, fmt.Errorf("%w: file descriptor %d is no socket: %w", ErrNoParent, feedbackFD, err)
	}

	p := &Parent{
		link:      l,
		Files:     map[string]*os.File{},
		commands:  make(chan string, 8),
		questions: make(chan Question, 8),
		gone:      make(chan struct{}),
	}
	if err := p.begin(); err != nil {
		l.close()
		return nil, fmt.Errorf("cannot learn from the watchdog what to do: %w", err)
	}

	go p.listen()

	return p, nil
}

func (p *Parent) begin() error {
	m, err := p.link.receive()
	if err != nil {
		return err
	}

	if m.Start == nil {
		return errors.New("its first message is none to start")
	}

	p.Config, p.Protocol = m.Start.Config, m.Start.Protocol
	for i, name := range m.Start.Files {
		fd := firstFileFD + i
		syscall.CloseOnExec(fd)
		p.Files[name] = os.NewFile(uintptr(fd), name)
	}

	// The watchdog has protected itself, which its children inherit.
	if m.Start.OOMScore != "" {
		return setOOMScore(m.Start.OOMScore)
	}

	return nil
}

func (p *Parent) listen() {
	defer close(p.gone)
	defer close(p.commands)
	defer close(p.questions)

	for {
		m, err := p.link.receive()
		if err != nil {
			return
		}

		if m.Ping {
			// If it is gone, the next receive tells.
			_ = p.link.send(&message{Pong: true})
		}

		if m.Question != nil {
			select {
			case p.questions <- Question{On: m.Question.On, id: m.Question.ID, link: p.link}:
			default: // as below
			}
		}

		if m.Command == "" {
			continue
		}

		select {
		case p.commands <- m.Command:
		default: // it does not listen, and must not keep the end from being seen
		}
	}
}

// Ready tells that this agent serves; about goes to Agent.Ready as JSON.
func (p *Parent) Ready(about any) error {
	b, err := json.Marshal(about)
	if err != nil {
		return err
	}

	return p.tell(&message{Ready: b})
}

// Fail reports why this agent cannot serve to the caller of the watchdog.
// details may be nil; what started the agent gets them, as JSON, in a FailedError.
func (p *Parent) Fail(reason error, details any) error {
	m := &message{Error: reason.Error()}
	if details != nil {
		b, err := json.Marshal(details)
		if err != nil {
			return err
		}

		m.Details = b
	}

	return p.tell(m)
}

// FailedError is why an agent cannot serve, in its own words.
type FailedError struct {
	Reason string
	// Details are those of Parent.Fail; nil without.
	Details json.RawMessage
}

func (e *FailedError) Error() string { return e.Reason }

func (p *Parent) tell(m *message) (err error) {
	err = errors.New("the watchdog has got a message already")
	p.told.Do(func() { err = p.link.send(m) })
	return err
}

// Yielded tells, after the command Replaced, that this agent takes no more work.
func (p *Parent) Yielded() error { return p.link.send(&message{Yielded: true}) }

// Tell tells how this agent is, as JSON, which goes to Agent.Status. It may be called
// as often as that changes, once the agent serves.
func (p *Parent) Tell(status any) error {
	b, err := json.Marshal(status)
	if err != nil {
		return err
	}

	return p.link.send(&message{Status: b})
}

// The commands of a watchdog that wants an agent to end.
const (
	// Replaced: another process serves in this one's place, which is to call Yielded.
	// Shutdown follows.
	Replaced = "replaced"
	// Shutdown: end, and take the time that it needs.
	Shutdown = "shutdown"
	// Abort: end at once.
	Abort = "abort"
)

// Commands are what the watchdog asks for: Replaced, Shutdown, Abort, and what
// Watchdog.Send sends. It is closed when the watchdog is gone.
func (p *Parent) Commands() <-chan string { return p.commands }

// Gone is closed when the watchdog has died: no process holds the sockets open and
// keeps this agent alive any more.
func (p *Parent) Gone() <-chan struct{} { return p.gone }
