package agent

import (
	"time"

	"github.com/gopassenger/passenger/spawner"
)

// Health is what a new process is asked for before it gets requests. Package
// spawner says what is wrong with its paths, statuses and host.
type Health struct {
	HealthPath   string
	HealthStatus string
	// HealthTimeout is in seconds.
	HealthTimeout int
	// HealthHost may be empty, which means the application's first host, or localhost.
	HealthHost     string
	WarmupPaths    []string
	WarmupRequired bool
}

// ask sets the fields of app.
func (h *Health) ask(app *spawner.App) {
	app.HealthPath, app.HealthStatus, app.HealthHost = h.HealthPath, h.HealthStatus, h.HealthHost
	app.HealthTimeout = time.Duration(h.HealthTimeout) * time.Second
	app.WarmupPaths, app.WarmupRequired = h.WarmupPaths, h.WarmupRequired
}
