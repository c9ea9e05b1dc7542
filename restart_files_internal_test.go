package passenger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

// Looks at the restart files go on without the lock, and may come back in
// another order, or when a restart has begun meanwhile.
func TestNoTouchIsForgotten(t *testing.T) {
	p := &Pool{epoch: time.Now(), state: poolClosed}
	g := newGroup(p, &Options{App: spawner.App{Root: "/a"}, StatThrottleRate: -1})
	begin := func() look {
		l, due := g.watchDue()
		require.True(t, due)
		return l
	}
	touched := func(n int) restartFiles { return restartFiles{touched: time.Unix(int64(n), 0)} }
	begin().watched(&p.fx, touched(1), &g.opts)
	require.Nil(t, g.restart)

	early, late := begin(), begin()
	early.watched(&p.fx, touched(2), &g.opts)
	require.NotNil(t, g.restart)
	late.watched(&p.fx, touched(3), &g.opts)
	g.restart = nil
	begin().watched(&p.fx, touched(3), &g.opts)
	require.NotNil(t, g.restart, "a touch during a restart is honoured after it")
	g.restart = nil

	early, late = begin(), begin()
	late.watched(&p.fx, touched(4), &g.opts)
	require.NotNil(t, g.restart)
	g.restart = nil
	early.watched(&p.fx, touched(3), &g.opts)
	require.Nil(t, g.restart, "an old look says nothing")
}
