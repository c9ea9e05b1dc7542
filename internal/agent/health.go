package agent

import (
	"fmt"
	"time"

	"github.com/gopassenger/passenger/spawner"
)

// Health is what a new process is asked for before it gets requests. Package
// spawner says what is wrong with its paths, statuses and host.
type Health struct {
	HealthPath   string `koanf:"health_path"`
	HealthStatus string `koanf:"health_status"`
	// HealthTimeout is in seconds.
	HealthTimeout int `koanf:"health_timeout"`
	// HealthHost may be empty: the application's first host, or localhost.
	HealthHost     string   `koanf:"health_host"`
	WarmupPaths    []string `koanf:"warmup_paths"`
	WarmupRequired bool     `koanf:"warmup_required"`
}

func (h *Health) validate() []error {
	if h.HealthTimeout < 1 {
		return []error{fmt.Errorf("health_timeout is %d: it must be at least 1 second", h.HealthTimeout)}
	}

	return nil
}

// ask puts h into what is started.
func (h *Health) ask(app *spawner.App) {
	app.HealthPath, app.HealthStatus, app.HealthHost = h.HealthPath, h.HealthStatus, h.HealthHost
	app.HealthTimeout = time.Duration(h.HealthTimeout) * time.Second
	app.WarmupPaths, app.WarmupRequired = h.WarmupPaths, h.WarmupRequired
}
