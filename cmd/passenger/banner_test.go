package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/agent"
)

func TestBannerOfADirectoryWithAnyNameIsPrintable(t *testing.T) {
	text := banner(&agent.Config{Dir: "/srv/a\x1b[31m\nb"}, []string{"http://127.0.0.1:3000/"})
	require.NotContains(t, text, "\x1b")
	require.Contains(t, text, "Application:         /srv/a?[31m")
	require.Contains(t, text, "Accessible via:      http://127.0.0.1:3000/\n")
}

// It has none of the files and flags that the server was started with.
func TestCommandThatStopsAServerNamesWhereItIs(t *testing.T) {
	for want, change := range map[string]func(*agent.Config){
		"passenger stop /srv/a --port 3000":                                 func(*agent.Config) {},
		"passenger stop /srv/a --socket /run/s":                             func(c *agent.Config) { c.SocketFile = "/run/s" },
		"passenger stop --pid-file /run/p":                                  func(c *agent.Config) { c.PIDFile = "/run/p" },
		"passenger stop /srv/a --port 3000 --instance-registry-dir /run/r":  func(c *agent.Config) { c.InstanceRegistryDir = "/run/r" },
		"passenger stop --pid-file /run/p --instance-registry-dir /run/own": func(c *agent.Config) { c.PIDFile, c.InstanceRegistryDir = "/run/p", "/run/own" },
	} {
		c := agent.DefaultConfig()
		c.Dir = "/srv/a"
		change(&c)
		if c.PIDFile == "" {
			c.PIDFile = c.DefaultPIDFile()
		}

		require.Equal(t, want, stopCommand(&c))
	}
}
