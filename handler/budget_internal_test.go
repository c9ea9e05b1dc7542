package handler

import (
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
