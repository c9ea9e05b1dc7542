package agent

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLimitsOfRequestsThatMakeNoSenseAreRefused(t *testing.T) {
	for want, change := range map[string]func(c *Config){
		"": func(*Config) {},
		"max_buffer_size is 0: it must be at least 1048576 bytes, or large requests and responses could not be " +
			"served, or -1 (a quarter of the free space)": func(c *Config) { c.MaxBufferSize = 0 },
		"max_buffer_size is -2: it must be at least 1048576 bytes, or large requests and responses could not be " +
			"served, or -1 (a quarter of the free space)": func(c *Config) { c.MaxBufferSize = -2 },
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

// A network that is written as one of IPv6 is the one of IPv4, with which peers are compared.
func TestNetworksOfIPv4InTheFormOfIPv6(t *testing.T) {
	for said, want := range map[string]string{
		"10.0.0.5":            "10.0.0.5/32",
		"::ffff:10.0.0.5":     "10.0.0.5/32",
		"::ffff:10.0.0.0/104": "10.0.0.0/8",
		"::ffff:0:0/96":       "0.0.0.0/0",
		"::1":                 "::1/128",
		"fe80::1%lo":          "fe80::1/128",
		"2001:db8::/32":       "2001:db8::/32",
		"::/0":                "::/0",
		"10.0.0.0/33":         "",
		"fe80::1%lo/64":       "",
		"localhost":           "",
		"010.0.0.1":           "",
		"10.0.0.1:80":         "",
		"[::1]":               "",
	} {
		prefix, err := parseNetwork(said)
		if want == "" {
			require.Error(t, err, said)
			continue
		}

		require.NoError(t, err, said)
		require.Equal(t, want, prefix.String(), said)
	}
}
