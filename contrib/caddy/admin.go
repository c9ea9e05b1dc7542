package passengercaddy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/status"
)

// admin is the module admin.api.passenger: the state of the pool, and restarts.
type admin struct{}

// CaddyModule returns the ID of the module.
func (admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.passenger",
		New: func() caddy.Module { return admin{} },
	}
}

// Routes returns the paths of the module.
func (a admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/passenger/status", Handler: caddy.AdminHandlerFunc(a.status)},
		{Pattern: "/passenger/restart", Handler: caddy.AdminHandlerFunc(a.restart)},
	}
}

func thePool() *passenger.Pool {
	var pool *passenger.Pool
	pools.Range(func(_, value any) bool {
		pool = value.(*shared).pool //nolint:errcheck // nothing else is stored
		return false
	})

	return pool
}

// status writes a snapshot as JSON or as text.
func (admin) status(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return apiError(http.StatusMethodNotAllowed, "%s: the status is asked for with GET", r.Method)
	}

	snapshot := passenger.Snapshot{Groups: []passenger.GroupSnapshot{}}
	if pool := thePool(); pool != nil {
		snapshot = pool.Inspect()
	}

	switch format := r.URL.Query().Get("format"); format {
	case "", "json":
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(snapshot)
	case "text":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		return status.WriteText(w, snapshot, status.TextOptions{})
	default:
		return apiError(http.StatusBadRequest, "there is no format %q: use json or text", format)
	}
}

// restart replaces the processes of an application, and responds when the new ones serve.
func (admin) restart(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return apiError(http.StatusMethodNotAllowed, "%s: a restart is asked for with POST", r.Method)
	}

	name := r.URL.Query().Get("app")
	if name == "" {
		return apiError(http.StatusBadRequest,
			"which application is to restart? Add its name, as in /passenger/restart?app=shop")
	}

	pool := thePool()
	if pool == nil {
		return apiError(http.StatusNotFound, "no site has the directive passenger")
	}

	err := pool.Restart(r.Context(), name, passenger.RestartOptions{})
	switch {
	case errors.Is(err, passenger.ErrNoSuchApp):
		return apiError(http.StatusNotFound, "there is no application %q that has been started: see /passenger/status",
			name)
	case err != nil:
		return apiError(http.StatusInternalServerError, "the restart of %s has failed: %w", name, err)
	}

	w.WriteHeader(http.StatusNoContent)

	return nil
}

func apiError(status int, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return caddy.APIError{HTTPStatus: status, Err: err, Message: err.Error()}
}

var _ caddy.AdminRouter = admin{}
