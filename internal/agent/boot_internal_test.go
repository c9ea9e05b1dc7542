package agent

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// Applications of one directory, for several environments or paths, differ by their names.
func TestEachApplicationOfADirectoryIsBooted(t *testing.T) {
	configured := func(environments ...string) *Config {
		c := DefaultConfig()
		for _, environment := range environments {
			own := DefaultConfig()
			own.Dir, own.Environment, own.MinInstances = "/srv/shop", environment, 1
			c.Apps = append(c.Apps, HostedApp{Hosts: []string{environment + ".example"}, Config: &own})
		}

		return &c
	}
	before := configured("staging", "production")

	pool := spawnertest.NewPool(t, passenger.Config{MaxPoolSize: 4})
	before.each(func(app *Config) {
		options := app.options()
		require.NoError(t, pool.StartN(t.Context(), &options, 1))
	})

	h, err := newHosts(before, pool, nil, handler.Config{}, nil)
	require.NoError(t, err)

	running := (&Server{cfg: before, pool: pool, site: h}).running()
	require.Len(t, running, 2)

	booted := func(c *Config) (names []string) {
		steps, err := c.bootSteps(running)
		require.NoError(t, err)

		for i := range steps {
			require.Equal(t, 1, steps[i].n)
			names = append(names, steps[i].options.App.Name())
		}

		return names
	}
	require.ElementsMatch(t, []string{"/srv/shop (staging)", "/srv/shop (production)"}, booted(before))
	require.ElementsMatch(t, []string{"/srv/shop (staging)", "/srv/shop (production)"},
		booted(configured("test", "production", "staging")))

	// With another name it is still the application of its directory.
	one := configured("live")
	running = running[:1]
	require.Equal(t, []string{"/srv/shop (live)"}, booted(one))
}
