package apiserver

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"strings"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/status"
)

// Incidents are what was recorded of processes that died or were killed for a limit, and of requests that were given
// up. The methods may be called by several goroutines at once.
type Incidents interface {
	// List returns the incidents, the newest first.
	List() []status.Incident
	// Read returns an incident as JSON. Its error is fs.ErrNotExist if there is none of this ID.
	Read(id string) ([]byte, error)
	// Look returns what a living process of the pool, named by its GUPID or PID, is doing: the same as an incident
	// has, as JSON. Its error is passenger.ErrNoSuchProcess if there is none.
	Look(ctx context.Context, id string) ([]byte, error)
}

// incidentPath stands for the paths of incidents, which have the ID in the place of the star.
const incidentPath = "/incidents/*.json"

// incidentID returns the ID that the path of an incident has.
func incidentID(path string) (id string, ok bool) {
	id, ok = strings.CutPrefix(path, "/incidents/")
	if !ok {
		return "", false
	}

	id, ok = strings.CutSuffix(id, ".json")
	for _, r := range id {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return "", false
		}
	}

	return id, ok && id != "" && len(id) <= maxIncidentID
}

const maxIncidentID = 64

func (c *call) listIncidents() {
	// Of nil, JSON would be null and no list.
	incidents := []status.Incident{}
	if c.cfg.Incidents != nil {
		incidents = append(incidents, c.cfg.Incidents.List()...)
	}

	c.json(http.StatusOK, map[string]any{"incidents": incidents})
}

func (c *call) showIncident() {
	id, _ := incidentID(c.r.URL.Path)

	err := fs.ErrNotExist
	var incident []byte
	if c.cfg.Incidents != nil {
		incident, err = c.cfg.Incidents.Read(id)
	}

	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.fail(http.StatusNotFound, "", "there is no incident of that id: only the last ones are kept")
	case err != nil:
		c.fail(http.StatusInternalServerError, "", err.Error())
	default:
		c.write(http.StatusOK, jsonType, incident)
	}
}

// showBacktraces shows what a living process is doing.
func (c *call) showBacktraces() {
	var order struct {
		PID int `json:"pid"`
	}
	if !c.decode(&order) {
		return
	}

	switch {
	case order.PID <= 0:
		c.fail(http.StatusBadRequest, "", "the field pid, of the process to look at, is missing or no number above 0")
		return
	case c.cfg.Incidents == nil:
		c.missing("look at processes")
		return
	}

	err := passenger.ErrNoSuchProcess
	var seen []byte
	if id := c.processID(order.PID); id != "" {
		seen, err = c.cfg.Incidents.Look(c.r.Context(), id)
	}

	switch {
	case errors.Is(err, passenger.ErrNoSuchProcess):
		c.fail(http.StatusNotFound, "", "the pool has no process of that pid")
	case err != nil:
		c.fail(http.StatusServiceUnavailable, "", err.Error())
	default:
		c.write(http.StatusOK, jsonType, seen)
	}
}
