package ratelog_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/ratelog"
)

func TestTheSameIsToldOncePerInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var line ratelog.Line
		var told []int
		log := func(more int) { told = append(told, more) }

		line.Flush(log)

		for range 5 {
			line.Tell(log)
			line.Flush(log)
		}

		require.Equal(t, []int{0}, told)

		time.Sleep(ratelog.Interval)
		line.Tell(log)
		require.Equal(t, []int{0, 4}, told)

		line.Tell(log)
		line.Tell(log)
		time.Sleep(ratelog.Interval)
		line.Flush(log)
		line.Flush(log)
		require.Equal(t, []int{0, 4, 2}, told)
	})
}

// A log sink that blocks must not stop those that have the same to tell, nor one that causes it again.
func TestSlowLogHoldsUpNoOtherCaller(t *testing.T) {
	var line ratelog.Line
	line.Tell(func(more int) {
		require.Zero(t, more)

		others := make(chan struct{})
		go func() {
			defer close(others)
			line.Tell(func(int) { t.Error("told twice") })
			line.Flush(func(int) { t.Error("told twice") })
		}()
		<-others
	})
}
