package handler

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The free space is read at most every five seconds: many requests take of the budget in each.
func TestFreeSpaceIsReadOnlyNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &budgetPart{dir: t.TempDir()}
		require.True(t, p.take(1))
		require.GreaterOrEqual(t, p.limit.Load(), int64(minDiskShare))

		p.limit.Store(1)
		require.False(t, p.take(1))
		time.Sleep(spaceInterval - 1)
		require.False(t, p.take(1))
		time.Sleep(time.Nanosecond)
		require.True(t, p.take(1), "the space is read again")
	})
}

// The first requests of a server may come together.
func TestManyTakeOfABudgetThatIsUnused(t *testing.T) {
	dir := t.TempDir()
	for range 100 {
		b := newBufferBudget()
		var refused atomic.Int32
		begin := make(chan struct{})

		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				<-begin
				if _, disk := b.parts(dir); !disk.take(1) {
					refused.Add(1)
				}
			})
		}

		close(begin)
		wg.Wait()
		require.Zero(t, refused.Load())
	}
}

// A budget lives as long as the server, and must not remember each request.
func TestClosedAccountIsForgotten(t *testing.T) {
	b := newBufferBudget()
	dir := t.TempDir()
	var a account
	a.open(b, dir, nil)
	require.Len(t, b.accounts, 1)
	require.NoError(t, a.take(onDisk, 5))
	a.close()
	require.Empty(t, b.accounts)

	_, disk := b.parts(dir)
	require.Zero(t, disk.used.Load())
}
