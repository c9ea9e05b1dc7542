// Package watchdog keeps agents alive: processes that do the work of a server,
// such as the core. It starts them in order, waits for each to say that it
// serves, starts another for one that dies, and ends them in the reverse order.
//
// It holds the listening sockets and lends them to its agents, so that clients
// find them open while an agent is being replaced.
//
// An agent and its watchdog are tied to each other by a socket, the agent's file
// descriptor 3. The watchdog sends what the agent is to do, the agent reports
// when it serves or why it cannot (message.go), and whoever dies is noticed by
// the other: its end is closed. [Attach] is the agent's side (parent.go).
//
// [Watchdog] puts the agents together; the life of one of them is in agent.go
// and agent_life.go, what an agent that died has left behind in orphans.go.
package watchdog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
)

// The times that [Config] has if they are zero there.
const (
	DefaultStartTimeout    = 60 * time.Second
	DefaultShutdownTimeout = 70 * time.Second
	DefaultAbortTimeout    = 2 * time.Second
	DefaultKillTimeout     = 5 * time.Second
)

// HookPoint is when a hook is called.
type HookPoint string

// The hook points, by their names in Passenger's configuration.
const (
	BeforeInitialization HookPoint = "before_watchdog_initialization"
	AfterInitialization  HookPoint = "after_watchdog_initialization"
	BeforeShutdown       HookPoint = "before_watchdog_shutdown"
	AfterShutdown        HookPoint = "after_watchdog_shutdown"
)

// Config says what there is to keep alive.
type Config struct {
	// Agents are started in this order, each when the one before it serves.
	Agents []Agent
	// Hook is called at each point; what happens waits for it. An error before
	// or after the initialization aborts it, and one at the shutdown makes it
	// a forced one. nil means no hook.
	Hook func(ctx context.Context, point HookPoint) error
	// StartTimeout is how long an agent may take until it serves,
	// ShutdownTimeout how long to end when it is asked to, AbortTimeout how long
	// to end at once. KillTimeout is how long what it leaves behind may take.
	StartTimeout, ShutdownTimeout, AbortTimeout, KillTimeout time.Duration
	// HeartbeatTimeout is how long an agent may take to show that it does not hang,
	// after which it is killed and replaced; it should be far longer than a busy
	// machine may keep it waiting. Zero means that it need not show it.
	HeartbeatTimeout time.Duration
	// ProtectFromOOM makes the kernel spare the watchdog, but not its agents,
	// when memory runs out, where it may do so.
	ProtectFromOOM bool
	// Logger gets what happens to the agents; the zero value discards it.
	Logger logr.Logger
}

// Watchdog keeps agents alive.
type Watchdog struct {
	cfg    Config
	agents []*agent
	// failed gets why it cannot go on.
	failed chan error
	// oomScore is what agents are to have; empty means what they have.
	oomScore string
	children children
	// orphans is held while they are ended, and while a hook runs, which may
	// have children.
	orphans  sync.Mutex
	stopping atomic.Bool
}

// Start starts the agents of cfg and returns when all of them serve. An error is
// that of the first that does not, or a hook's; nothing is left running then.
// ctx bounds the start only.
func Start(ctx context.Context, cfg Config) (*Watchdog, error) {
	if cfg.Hook == nil {
		cfg.Hook = func(context.Context, HookPoint) error { return nil }
	}

	for _, t := range []struct {
		set *time.Duration
		to  time.Duration
	}{
		{&cfg.StartTimeout, DefaultStartTimeout},
		{&cfg.ShutdownTimeout, DefaultShutdownTimeout},
		{&cfg.AbortTimeout, DefaultAbortTimeout},
		{&cfg.KillTimeout, DefaultKillTimeout},
	} {
		if *t.set == 0 {
			*t.set = t.to
		}
	}

	w := &Watchdog{cfg: cfg, failed: make(chan error, 1)}
	if cfg.ProtectFromOOM {
		w.oomScore = protect()
	}

	if err := adoptOrphans(); err != nil {
		cfg.Logger.Error(err, "the watchdog cannot end what a dying agent leaves behind")
	}

	if err := w.hook(ctx, BeforeInitialization); err != nil {
		return nil, err
	}

	for i := range cfg.Agents {
		a := newAgent(w, &cfg.Agents[i])
		if err := a.begin(ctx); err != nil {
			return nil, errors.Join(err, w.stopAgents(ctx))
		}

		w.agents = append(w.agents, a)
	}

	return w, nil
}

// Initialized calls the hook AfterInitialization: what the agents serve is there. It
// is for whoever knows that, which may be later than Start's return. After an error,
// which is the hook's, Shutdown is still to be called.
func (w *Watchdog) Initialized(ctx context.Context) error { return w.hook(ctx, AfterInitialization) }

func (w *Watchdog) hook(ctx context.Context, point HookPoint) error {
	w.orphans.Lock()
	defer w.orphans.Unlock()
	// It had to wait for the hook.
	defer w.reap()
	if err := w.cfg.Hook(ctx, point); err != nil {
		return fmt.Errorf("the hook %s failed: %w", point, err)
	}

	return nil
}

// Failed gets one error when there is nothing to be kept alive any more: an
// agent has ended by itself, ErrAgentEnded, or could not be started again.
func (w *Watchdog) Failed() <-chan error { return w.failed }

func (w *Watchdog) fail(err error) {
	select {
	case w.failed <- err:
	default: // the first one counts
	}
}

// Send passes a command on to the agents that understand it; see Parent.Commands.
func (w *Watchdog) Send(command string) {
	for _, a := range w.agents {
		a.send(command)
	}
}

// Replacement is what takes an agent's place.
type Replacement struct {
	// Config and Files are those of Agent.
	Config any
	Files  map[string]*os.File
	// Command is that of Agent, for this process and those after it; nil means as before.
	Command func() *exec.Cmd
	// Restart is the Config of the processes after the first one, which are started
	// when that has died; nil means Config.
	Restart any
	// StartTimeout is how long it may take until it serves; zero means Config.StartTimeout.
	StartTimeout time.Duration
	// GiveUp ends the start when it is closed, with ErrStopping; nil means that nothing but StartTimeout does.
	GiveUp <-chan struct{}
}

// Replace starts the agent of that name once more, as next says, and when it serves
// asks the process before it to yield, which it has five seconds for before Replace
// returns, and to end, which has Config.ShutdownTimeout. If it does not come to
// serve, all stays as it was, and nothing of it is left.
//
// Errors: what keeps it from serving, ErrStopping, or ctx's, which bounds the wait
// for another start that is in progress.
func (w *Watchdog) Replace(ctx context.Context, agent string, next Replacement) error {
	a, err := w.agent(agent)
	if err != nil {
		return err
	}

	return a.replaceBy(ctx, successor{Replacement: next, started: make(chan error, 1)})
}

func (w *Watchdog) agent(name string) (*agent, error) {
	for _, a := range w.agents {
		if a.cfg.Name == name {
			return a, nil
		}
	}

	return nil, fmt.Errorf("there is no agent %q", name)
}

// Ask asks the process of the agent of that name that serves a question, and
// returns its answer. The agent gets it by Parent.Questions.
//
// Errors: ErrNotServing; ctx's, as when the agent does not respond.
func (w *Watchdog) Ask(ctx context.Context, agent, on string) (json.RawMessage, error) {
	a, err := w.agent(agent)
	if err != nil {
		return nil, err
	}

	p := a.serving()
	if p == nil {
		return nil, fmt.Errorf("the %s cannot be asked: %w", agent, ErrNotServing)
	}

	return p.ask(ctx, on)
}

// Shutdown ends the agents: each is asked to, and has until ctx ends or
// Config.ShutdownTimeout has passed. Then it has to end at once, or is killed,
// and the error is ErrForced. After Shutdown there are no agents, and nothing that they started.
func (w *Watchdog) Shutdown(ctx context.Context) error {
	w.stopping.Store(true)
	hookCtx := context.WithoutCancel(ctx)
	before := w.hook(hookCtx, BeforeShutdown)
	if before != nil {
		forced, cancel := context.WithCancel(ctx)
		cancel()
		ctx = forced
	}

	stopped := w.stopAgents(ctx)

	return errors.Join(before, stopped, w.hook(hookCtx, AfterShutdown))
}

func (w *Watchdog) stopAgents(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.ShutdownTimeout)
	defer cancel()

	var errs []error
	for _, a := range slices.Backward(w.agents) {
		errs = append(errs, a.stop(ctx))
	}

	// What a process has orphaned may have served it until here.
	w.endOrphans(nil)

	return errors.Join(errs...)
}
