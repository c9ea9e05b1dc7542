package passenger

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lateContext is one whose deadline is over, which it has not noticed.
type lateContext struct {
	context.Context
	deadline time.Time
}

func (c lateContext) Deadline() (time.Time, bool) { return c.deadline, true }

func TestEndOf(t *testing.T) {
	timeout := &net.OpError{Op: "dial", Net: "unix", Err: os.ErrDeadlineExceeded}
	_, unasked := (&net.Dialer{Deadline: time.Now().Add(-time.Second)}).DialContext(t.Context(), "unix", "socket")
	past, future := time.Now().Add(-time.Second), time.Now().Add(time.Hour)
	ended, cancel := context.WithCancel(t.Context())
	cancel()

	for name, test := range map[string]struct {
		ctx  context.Context
		err  error
		want error
	}{
		"it has ended":         {ended, errors.New("refused"), context.Canceled},
		"its deadline is over": {lateContext{t.Context(), past}, timeout, context.DeadlineExceeded},
		"package net says so":  {lateContext{t.Context(), past}, unasked, context.DeadlineExceeded},
		"another reason":       {lateContext{t.Context(), past}, errors.New("refused"), nil},
		"another deadline":     {lateContext{t.Context(), future}, timeout, nil},
		"without a deadline":   {t.Context(), timeout, nil},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, endOf(test.ctx, test.err)) })
	}
}
