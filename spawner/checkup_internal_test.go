package spawner

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lateContext is a context whose timer comes later than its deadline, as on a busy machine.
type lateContext struct {
	context.Context
	deadline time.Time
}

func (c lateContext) Deadline() (time.Time, bool) { return c.deadline, true }

func TestTimeIsOverAtTheDeadline(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	require.False(t, isOver(ctx), "it has none")
	require.True(t, isOver(lateContext{ctx, time.Now()}))
	require.False(t, isOver(lateContext{ctx, time.Now().Add(time.Hour)}))

	cancel()
	require.False(t, isOver(ctx), "it was canceled")
	require.False(t, isOver(lateContext{ctx, time.Now()}), "it was canceled")
}
