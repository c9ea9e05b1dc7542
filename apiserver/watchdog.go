package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"

	"github.com/go-logr/logr"
)

// WatchdogConfig says what the API of a watchdog shows and does. The fields are
// those of Config; the zero value is usable.
type WatchdogConfig struct {
	Accounts    []Account
	AllowAnyone bool
	// Status returns what GET /status.txt shows; nil means program, version and
	// pid.
	Status         func() string
	Settings       func() map[string]any
	ChangeSettings func(changes map[string]json.RawMessage) error
	Shutdown       func()
	ReopenLogs     func() error
	// Reload reads the configuration again; an error says why it is refused and is
	// shown to who asked. nil means that it cannot.
	Reload func(ctx context.Context) error
	// ForceReload is Reload, whether all applications start or not; nil means that it cannot.
	ForceReload func(ctx context.Context) error
	// Program is "gopassenger watchdog" if empty.
	Program, Version string
	Logger           logr.Logger
}

// Validate reports every fault of c, joined. Each error begins with the name of its
// field.
func (c *WatchdogConfig) Validate() error { return validateAccess(c.Accounts, c.AllowAnyone) }

// NewWatchdog returns the API of a watchdog. The error is that of
// [WatchdogConfig.Validate].
func NewWatchdog(cfg WatchdogConfig) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}

	if cfg.Program == "" {
		cfg.Program = "gopassenger watchdog"
	}

	s := newServer(Config{
		Accounts:       cfg.Accounts,
		AllowAnyone:    cfg.AllowAnyone,
		Settings:       cfg.Settings,
		ChangeSettings: cfg.ChangeSettings,
		Shutdown:       cfg.Shutdown,
		ReopenLogs:     cfg.ReopenLogs,
		Program:        cfg.Program,
		Version:        cfg.Version,
		Logger:         cfg.Logger,
	})
	s.status, s.reload, s.forceReload = cfg.Status, cfg.Reload, cfg.ForceReload
	s.routes = map[string]methods{
		"/status.txt":  {get: {inspect, (*call).showStatus}},
		"/reload.json": {post: {admin, (*call).readSettings}},
	}
	maps.Copy(s.routes, commonRoutes())

	return s, nil
}

func (c *call) showStatus() {
	if c.status != nil {
		c.text(c.status())
		return
	}

	c.text(fmt.Sprintf("%s %s, pid %d\n", c.cfg.Program, c.cfg.Version, os.Getpid()))
}
