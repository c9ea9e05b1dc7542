package agent

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLimitsOfRequestsThatMakeNoSenseAreRefused(t *testing.T) {
	for want, change := range map[string]func(c *Config){
		"": func(*Config) {},
		"max_buffer_size is 0: it must be at least 1048576 bytes, or large requests and responses could not be served, " +
			"or -1 (a quarter of the free space)": func(c *Config) { c.MaxBufferSize = 0 },
		"max_buffer_size is -2: it must be at least 1048576 bytes, or large requests and responses could not be " +
			"served, " +
			"or -1 (a quarter of the free space)": func(c *Config) { c.MaxBufferSize = -2 },
		"client_stall_timeout is -1: it must be 0 (no limit) or more": func(c *Config) { c.ClientStallTimeout = -1 },
	} {
		c := DefaultConfig()
		change(&c)
		err := errors.Join(c.checkOptions()...)
		if want == "" {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, want)
		}
	}

	for seconds, negative := range map[int]bool{0: true, 1: false} {
		c := DefaultConfig()
		c.ClientStallTimeout = seconds
		require.Equal(t, negative, c.stallTimeout() < 0)
	}
}
