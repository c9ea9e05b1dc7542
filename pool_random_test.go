package passenger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// chaos does to a pool whatever may happen to it, in an order that choose
// decides. The pool checks its invariants after each step by itself.
type chaos struct {
	*fixture
	choose func(n int) int
	asked  []*answer

	mu   sync.Mutex
	open []*passenger.Session
	// ending: sessions are closed as soon as they come.
	ending bool
	// stuck is what a shutdown that does not end looks like.
	stuck string
	// withdrawn are answers that must never come.
	withdrawn map[*answer]bool
}

var chaosOps = []func(*chaos){
	(*chaos).doGet, (*chaos).doGet, (*chaos).doGet, (*chaos).doClose, (*chaos).doClose, (*chaos).doClose,
	(*chaos).doConnect, (*chaos).doLast, (*chaos).doWithdraw, (*chaos).doKill, (*chaos).doChangeScript, (*chaos).doSleep,
	(*chaos).doRestart, (*chaos).doDisable, (*chaos).doEnable, (*chaos).doDetach, (*chaos).doSetLimits, (*chaos).doRequestOOBW,
	(*chaos).doStart,
}

func (c *chaos) step() {
	chaosOps[c.choose(len(chaosOps))](c)
	if c.choose(2) == 0 {
		synctest.Wait()
	}
}

func (c *chaos) doGet() {
	o := options(fmt.Sprintf("app-%d", c.choose(5)))
	o.MinProcesses = c.choose(3)
	o.MaxProcesses = max(o.MinProcesses, c.choose(4))
	o.RestartBatchSize = c.choose(3)
	o.MaxRequests, o.MaxRequestsJitter = []int{0, passenger.Unlimited, 5}[c.choose(3)], float64(c.choose(2))
	o.MaxRequestTime = []time.Duration{0, 0, 5 * time.Second}[c.choose(3)]
	o.MaxRequestQueueTime = []time.Duration{0, 0, time.Second}[c.choose(3)]
	if s := c.pick(false); s != nil && c.choose(2) == 0 {
		o.StickySessionID = s.StickyID()
	}
	o.DrainTimeout = time.Duration(c.choose(3)) * time.Second
	o.KeepLongSessions = c.choose(2) == 0
	o.MaxRequestQueueSize = []int{0, 1, 5, passenger.Unlimited}[c.choose(4)]
	o.ForceMaxConcurrentRequestsPerProcess = []int{0, 0, 3, passenger.Unlimited}[c.choose(4)]
	a := &answer{}
	a.stop = c.AsyncGet(o, func(s *passenger.Session, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		a.times++
		a.session, a.err = s, err
		switch {
		case s == nil:
		case c.ending:
			go s.Close(passenger.KeepAlive)
		default:
			c.open = append(c.open, s)
		}
	})
	c.asked = append(c.asked, a)
}

// pick returns one of the open sessions or nil.
func (c *chaos) pick(remove bool) *passenger.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) == 0 {
		return nil
	}
	i := c.choose(len(c.open))
	s := c.open[i]
	if remove {
		c.open = slices.Delete(c.open, i, i+1)
	}
	return s
}

func (c *chaos) doClose() {
	if s := c.pick(true); s != nil {
		s.Close(passenger.CloseMode(c.choose(2)))
	}
}

func (c *chaos) doConnect() {
	if s := c.pick(false); s != nil {
		_, _ = s.Connect(c.Context())
	}
}

func (c *chaos) doLast() {
	if s := c.pick(false); s != nil {
		s.OnDetach(func() {})
	}
}

func (c *chaos) doWithdraw() {
	if len(c.asked) == 0 {
		return
	}
	if a := c.asked[c.choose(len(c.asked))]; a.stop() {
		require.False(c, c.withdrawn[a])
		c.withdrawn[a] = true
	}
}

func (c *chaos) doKill() {
	if live := c.factory.LiveProcesses(); len(live) > 0 {
		c.factory.Kill(live[c.choose(len(live))].Info().PID)
	}
}

func (c *chaos) doChangeScript() {
	c.factory.Change(func(s *spawnertest.Script) {
		s.SpawnDelay = time.Duration(c.choose(3)) * time.Second
		s.StopDelay = time.Duration(c.choose(3)) * time.Second
		s.Concurrency = []int{1, 1, 2, spawnertest.Unlimited}[c.choose(4)]
		s.Sockets = 1 + c.choose(3)
		s.BeforeSpawn, s.BeforeDial = nil, nil
		if c.choose(4) == 0 {
			s.BeforeSpawn = alwaysFail
		}
	})
}

func (c *chaos) doSleep() {
	time.Sleep(time.Duration(1+c.choose(3000)) * time.Millisecond)
}

func (c *chaos) anyProcess() string {
	for _, g := range c.Inspect().Groups {
		if n := len(g.Processes); n > 0 && c.choose(2) == 0 {
			return g.Processes[c.choose(n)].GUPID
		}
	}
	return "none"
}

func (c *chaos) doDisable() {
	id := c.anyProcess()
	go func() { _ = c.Disable(c.Context(), id) }()
}

func (c *chaos) doEnable() { _ = c.Enable(c.anyProcess()) }

func (c *chaos) doDetach() {
	if c.choose(2) == 0 {
		_ = c.DetachProcess(c.anyProcess())
		return
	}
	name := fmt.Sprintf("app-%d", c.choose(5))
	go func() { _ = c.DetachApp(c.Context(), name) }()
}

func (c *chaos) doSetLimits() {
	c.SetMaxPoolSize(1 + c.choose(6))
	c.SetPoolIdleTime(time.Duration(c.choose(4)-1) * time.Second)
}

func (c *chaos) doRequestOOBW() {
	if s := c.pick(false); s != nil {
		s.RequestOOBW()
	}
}

// doRestart leaves the restart to itself: the bubble does not end before it.
func (c *chaos) doRestart() {
	name, o := fmt.Sprintf("app-%d", c.choose(5)), passenger.RestartOptions{Method: passenger.RestartMethod(c.choose(3))}
	go func() { _ = c.Restart(c.Context(), name, o) }()
}

// doStart waits elsewhere, and not for ever.
func (c *chaos) doStart() {
	o, n := options(fmt.Sprintf("app-%d", c.choose(5))), c.choose(5)
	ctx, cancel := context.WithTimeout(c.Context(), time.Duration(c.choose(10))*time.Second)
	go func() {
		defer cancel()
		_ = c.StartN(ctx, o, n)
	}()
}

// end answers what is open and looks at the sum of it all.
func (c *chaos) end() {
	c.factory.Change(func(s *spawnertest.Script) { *s = spawnertest.Script{} })
	c.mu.Lock()
	c.ending = true
	left := c.open
	c.mu.Unlock()
	if c.choose(2) == 0 {
		for _, s := range left {
			s.Close(passenger.KeepAlive)
		}
		ctx, cancel := context.WithTimeout(c.Context(), time.Hour)
		defer cancel()
		look := time.AfterFunc(time.Hour-time.Second, func() { c.stuck = fmt.Sprintf("%+v", c.Inspect()) })
		defer look.Stop()
		if err := c.Shutdown(ctx); err != nil {
			require.NoError(c, err, c.stuck)
		}
	}
	require.NoError(c, c.Close())
	for _, s := range left {
		s.Close(passenger.KeepAlive)
	}
	synctest.Wait()
	for _, a := range c.asked {
		if c.withdrawn[a] {
			require.Zero(c, a.times, "withdrawn and answered")
			continue
		}
		require.Equal(c, 1, a.times, "every get is answered exactly once")
		require.NotEqual(c, a.session == nil, a.err == nil)
	}
	for _, g := range c.Inspect().Groups {
		require.Empty(c, g.Processes)
		require.Zero(c, g.QueueLength)
	}
}

func runChaos(t *testing.T, steps int, choose func(n int) int) {
	t.Helper()
	inBubble(t, 1+choose(6), spawnertest.Script{}, func(f *fixture) {
		c := &chaos{fixture: f, choose: choose, withdrawn: map[*answer]bool{}}
		for range steps {
			c.step()
		}
		c.end()
	})
}

func TestAnyOrderOfEvents(t *testing.T) {
	for seed := range uint64(100) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			runChaos(t, 1000, rand.New(rand.NewPCG(seed, 1)).IntN)
		})
	}
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
