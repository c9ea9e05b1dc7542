package passenger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/test/longtests"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// chaos does to a pool whatever may happen to it, in an order that choose decides. The
// pool checks its invariants after each step by itself, and a model says what must hold
// beyond them.
type chaos struct {
	*audit
	*model
	choose func(n int) int
	// dir has the applications that have restart files.
	dir   string
	asked []*asked
	// sessions are those that are handed out.
	sessions sessions
	// touched counts the touches of restart files, each at another time.
	touched int
	// refusals is how many calls of NewSpawner fail from now on.
	refusals atomic.Int32
	// armed is what panics next in a goroutine of ours; empty means that nothing does.
	armed atomic.Value
}

// chaosOps are what a step may be; some come more often.
var chaosOps = []func(*chaos){
	(*chaos).doGet, (*chaos).doGet, (*chaos).doGet, (*chaos).doGet, (*chaos).doClose, (*chaos).doClose,
	(*chaos).doClose,
	(*chaos).doConnect, (*chaos).doLast, (*chaos).doWithdraw, (*chaos).doKill, (*chaos).doChangeScript,
	(*chaos).doSleep,
	(*chaos).doSleep, (*chaos).doRestart, (*chaos).doDisable, (*chaos).doEnable, (*chaos).doDetachProcess,
	(*chaos).doDetachApp, (*chaos).doSetLimits, (*chaos).doRequestOOBW, (*chaos).doStart, (*chaos).doTouch,
	(*chaos).doRefuse, (*chaos).doArm, (*chaos).doCalm,
}

func (c *chaos) step() {
	c.try(chaosOps[c.choose(len(chaosOps))])

	switch c.choose(4) {
	case 0:
		c.settle()
	case 1:
		synctest.Wait()
	}
}

// settle waits until nothing moves, and looks.
func (c *chaos) settle() {
	synctest.Wait()
	faults := c.look(c.Inspect(), c.factory.LiveProcesses())
	require.Empty(c, append(faults, c.spawners.faults(false)...))
}

// try does something that may panic as it was armed to.
func (c *chaos) try(op func(*chaos)) {
	defer func() {
		if r := recover(); r != nil && r != boom {
			panic(r)
		}
	}()
	op(c)
}

// explode panics if that is armed, in a goroutine that recovers. Others are the pool's.
func (c *chaos) explode(what string) {
	if c.armed.Load() != what || !calledByTry() {
		return
	}

	if c.armed.CompareAndSwap(what, "") {
		panic(boom)
	}
}

func calledByTry() bool {
	var pcs [64]uintptr

	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, "(*chaos).try") {
			return true
		}

		if !more {
			return false
		}
	}
}

// newSpawner says what comes of a call of NewSpawner.
func (c *chaos) newSpawner(int, spawner.App) error {
	time.Sleep(time.Millisecond) // so that those of a batch meet
	if c.refusals.Add(-1) >= 0 {
		return errRefused
	}

	c.refusals.Store(0)

	return nil
}

// end ends the pool in one of the ways there are, perhaps with everything in progress.
func (c *chaos) end() {
	more := c.choose(50)
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()

	switch c.choose(4) {
	case 0:
		c.heal()
		c.closeAll()
		ctx, cancel := context.WithTimeout(c.Context(), time.Hour)
		defer cancel()
		stuck := ""
		look := time.AfterFunc(time.Hour-time.Second, func() { stuck = fmt.Sprintf("%+v", c.Inspect()) })
		defer look.Stop()
		c.armed.Store("")
		if err := c.Shutdown(ctx); err != nil {
			require.NoError(c, err, stuck)
		}
	case 1:
		ctx, cancel := context.WithTimeout(c.Context(), time.Duration(c.choose(20))*time.Second)
		defer cancel()
		c.kills()
		go func() { _ = c.Shutdown(ctx) }()
		c.steps(more)
	case 2:
		c.kills()
		go func() { _ = c.Close() }()
		c.steps(more)
	}

	c.kills()
	c.try(func(c *chaos) { _ = c.Close() })
	require.NoError(c, c.Close())

	c.closeAll()
	c.settle()
	c.requireNothingLeft(c)
	require.Empty(c, c.ledger.faults())

	for _, a := range c.asked {
		require.True(c, a.times == 1 && !a.withdrawn || a.times == 0 && a.withdrawn,
			"%s: %d results, withdrawn: %t", a.app, a.times, a.withdrawn)
	}
}

// kills is called when processes may be stopped with their sessions.
func (c *chaos) kills() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.killing = true
}

func (c *chaos) steps(n int) {
	for range n {
		c.step()
	}
}

// runChaos takes n steps, and ends the pool.
func runChaos(t *testing.T, steps int, choose func(n int) int) {
	t.Helper()

	dir := t.TempDir()
	for i := range appsWithFiles {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, fmt.Sprintf("app-%d", i), "tmp"), 0o700))
	}

	size := 1 + choose(6)
	m := newModel(size)
	records := choose(2) == 0
	change := func(cfg *passenger.Config) {
		cfg.Observer, cfg.Logger = m, logr.New(modelLog{m})
		if records {
			cfg.Incidents = &flightRecorder{takes: time.Second}
		}
	}
	inAudit(t, size, spawnertest.Script{OnStop: m.onStop}, change, func(f *audit) {
		c := &chaos{
			audit:  f,
			model:  m,
			choose: choose,
			dir:    dir,
		}
		c.armed.Store("")
		m.danger = c.explode
		f.spawners.refuse = c.newSpawner
		c.steps(steps)
		c.end()
	})
}

// TestAnyOrderOfEvents takes 25,000 steps, in a long run five million. PASSENGER_SEED repeats one
// run, as far as goroutines do.
func TestAnyOrderOfEvents(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	runs, first := uint64(longtests.Rounds(t, 100, 20_000)), uint64(0)
	if longtests.Enabled() {
		first = rand.Uint64N(1 << 40)
	}

	if seed, err := strconv.ParseUint(os.Getenv("PASSENGER_SEED"), 10, 64); err == nil {
		runs, first = 1, seed
	}

	for seed := first; seed < first+runs && !t.Failed(); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			runChaos(t, 250, rand.New(rand.NewPCG(seed, 1)).IntN)
		})
	}

	goleak.VerifyNone(t, ignore)
}

func FuzzAnyOrderOfEvents(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a"))
	f.Fuzz(func(t *testing.T, input []byte) {
		steps := len(input)
		runChaos(t, steps, func(n int) int {
			if len(input) == 0 {
				return 0
			}

			b := int(input[0])
			input = input[1:]

			return b % n
		})
	})
}
