package handler

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestZeroValuesMeanTheDefaultsAndOthersStay(t *testing.T) {
	c := Config{}.withDefaults()
	require.Equal(t, Limits{
		Target: DefaultMaxHeaderField,
		Fields: 1000,
		Field:  DefaultMaxHeaderField,
		Head:   DefaultMaxHeader,
	}, c.Limits)
	require.Equal(t, DefaultMaxResponseHead, c.MaxResponseHead)
	require.InDelta(t, DefaultMaxQueueShare, c.MaxQueueShare, 0)
	require.Equal(t, DefaultConnectTimeout, c.ConnectTimeout)
	require.EqualValues(t, DefaultMaxResponseBuffer, c.MaxResponseBuffer)
	require.Equal(t, DefaultClientGrace, c.ClientGrace)
	require.EqualValues(t, DefaultMinClientRate, c.MinClientRate)
	require.Equal(t, DefaultClientStallTimeout, c.ClientStallTimeout)
	require.Same(t, defaultBudget(), c.Buffers)
	require.NotNil(t, c.Logger.GetSink())

	own := Config{
		Limits:             Limits{Target: 1, Fields: 2, Field: 3, Head: 4},
		MaxResponseHead:    5,
		MaxQueueShare:      6,
		ConnectTimeout:     7 * time.Second,
		MaxResponseBuffer:  8,
		ClientGrace:        9 * time.Second,
		MinClientRate:      10,
		ClientStallTimeout: 11 * time.Second,
		Buffers:            newBufferBudget(),
		Logger:             c.Logger,
	}
	require.Equal(t, own, own.withDefaults())
}
