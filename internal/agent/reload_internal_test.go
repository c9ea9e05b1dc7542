package agent

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What a watchdog has given up, no core of its can have.
func TestNewPrivilegesOfOneApplicationNeedARestart(t *testing.T) {
	configured := func(without ...bool) *Config {
		c := DefaultConfig()
		for _, on := range without {
			c.Apps = append(c.Apps, HostedApp{Config: &Config{Privileges: Privileges{NoNewPrivileges: on}}})
		}

		return &c
	}

	all := configured(true, true)
	for name, next := range map[string]*Config{
		"one is off now":     configured(true, false),
		"another one is new": configured(true, true, false),
	} {
		require.ErrorContains(t, all.sameStart(next),
			"no_new_privileges was on for all applications and is off for one now, which takes effect when the server is",
			name)
	}

	require.NoError(t, all.sameStart(configured(true)))
	require.NoError(t, all.sameStart(configured(true, true, true)))
	require.NoError(t, configured(true, false).sameStart(all), "each of its processes has none")
	require.NoError(t, configured(true, false).sameStart(configured(false, true)))

	one, next := configured(), configured()
	one.NoNewPrivileges = true
	require.EqualError(t, one.sameStart(next),
		"no_new_privileges was true and is false now, which takes effect when the server is restarted")
}
