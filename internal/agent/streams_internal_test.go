package agent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/logged"
)

// Where messages reach only the clients of one process, and there may be several, the log says so.
func TestMessagesThatMayNotReachAllClientsAreNamed(t *testing.T) {
	t.Parallel()

	rails, node := t.TempDir(), t.TempDir()
	for path, content := range map[string]string{
		filepath.Join(rails, "config.ru"):        "",
		filepath.Join(rails, "config/cable.yml"): "development:\n  adapter: async\n",
		filepath.Join(node, "app.js"):            "listen(1)",
		filepath.Join(node, "package.json"):      `{"dependencies": {"socket.io": "4"}}`,
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}

	for name, c := range map[string]struct {
		dir  string
		set  func(*Config)
		told bool
	}{
		"Ruby":                         {rails, func(*Config) {}, true},
		"Ruby, one process":            {rails, func(c *Config) { c.MaxPoolSize = 1 }, false},
		"Ruby, one for each":           {rails, func(c *Config) { c.MaxInstances = 1 }, false},
		"Ruby, paths are configured":   {rails, func(c *Config) { c.UnlimitedConcurrencyPaths = []string{"none"} }, true},
		"Node.js, which has one":       {node, func(*Config) {}, false},
		"Node.js, with more":           {node, func(c *Config) { c.MinInstances = 2 }, true},
		"Node.js, a few requests":      {node, func(c *Config) { c.ForceMaxConcurrency = 5 }, true},
		"Ruby, which takes any number": {rails, func(c *Config) { c.ForceMaxConcurrency = 0 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logged.Buffer
			cfg := DefaultConfig()
			cfg.Dir, cfg.Environment = c.dir, "development"
			c.set(&cfg)
			cfg.unlimitedPaths(log.Logger())

			told := log.Count("reach only the clients of the process that sends them") == 1
			require.Equal(t, c.told, told, log.String())
		})
	}
}
