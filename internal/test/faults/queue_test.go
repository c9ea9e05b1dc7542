//go:build linux

package faults_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// Of twelve that come to a queue for five, five wait and are served.
// Faults: D12.
func TestFullQueueServesItsPlacesAndRefusesTheRest(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-pool-size", "1", "--max-request-queue-size", "5")
	c := s.client(t)
	free := s.holdProcess(t, c)

	replies := make(chan fetched)
	for i := range 12 {
		waiting := c.background(t.Context(), t, fmt.Sprintf("/serve?%d", i))
		go func() { replies <- <-waiting }()
	}

	for range 7 {
		a := <-replies
		require.NoError(t, a.err)
		require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
		require.NotEmpty(t, a.Header.Get("Retry-After"))
	}

	select {
	case a := <-replies:
		require.FailNow(t, "more than seven were not to wait", "%+v", a)
	default:
	}

	free()

	for range 5 {
		a := <-replies
		require.NoError(t, a.err)
		require.Equal(t, http.StatusOK, a.StatusCode)
		require.Equal(t, a.Request.URL.RawQuery, a.body)
	}
}

// Who leaves the queue makes room in it, and is not seen by the application.
// Faults: D5.
func TestAbortWhileQueuedLeavesTheQueue(t *testing.T) {
	t.Parallel()
	const limit = 5
	s := start(t, "--max-pool-size", "1", "--max-request-queue-size", fmt.Sprint(limit))
	c := s.client(t)
	free := s.holdProcess(t, c)
	fds := s.countFDs(t)
	ctx, cancel := context.WithCancel(t.Context())

	replies := make(chan fetched)
	for range limit + 1 {
		waiting := c.background(ctx, t, "/serve?gone")
		go func() { replies <- <-waiting }()
	}

	a := <-replies
	require.NoError(t, a.err)
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode, "the queue is full")
	cancel()

	for range limit {
		require.ErrorIs(t, (<-replies).err, context.Canceled)
	}

	s.requireNoMoreFDs(t, fds)

	// There is room for this number of others.
	for i := range limit {
		waiting := c.background(t.Context(), t, fmt.Sprintf("/serve?other%d", i))
		go func() { replies <- <-waiting }()
	}

	free()

	for range limit {
		a := <-replies
		require.NoError(t, a.err)
		require.Equal(t, http.StatusOK, a.StatusCode, a.body)
		require.Equal(t, a.Request.URL.RawQuery, a.body)
	}

	require.Empty(t, s.lines("served gone."))
}
