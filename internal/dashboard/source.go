package dashboard

import (
	"context"
	"encoding/json"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/procstat"
	"github.com/gopassenger/passenger/status"
)

// Source is what the page shows, and what it may order. Its methods may be called by several goroutines at once.
type Source interface {
	Pool(ctx context.Context) (*Pool, error)
	// Figures returns the history of the application of this name, or of all for an empty name, with at most the
	// newest points of each.
	Figures(ctx context.Context, app string, points int) ([]status.Figures, error)
	// Requests returns those in progress, Failures the last failed starts, and Incidents what else was recorded, the
	// newest first.
	Requests(ctx context.Context) ([]Request, error)
	Failures(ctx context.Context) ([]passenger.FailedSpawn, error)
	Incidents(ctx context.Context) ([]Incident, error)
	// Incident returns all that is known of an incident, as JSON. Its error is fs.ErrNotExist if there is none of this
	// ID.
	Incident(ctx context.Context, id string) (json.RawMessage, error)

	// Restart begins a restart of the applications of this name and does not wait for its end. Detach takes a process
	// out of the pool. Their error is fs.ErrNotExist if there is none.
	Restart(ctx context.Context, app string) error
	Detach(ctx context.Context, pid int) error
}

// Pool has what the page shows of a passenger.Snapshot, whose JSON form it reads.
type Pool struct {
	Version            string    `json:"version"`
	At                 time.Time `json:"at"`
	MaxPoolSize        int       `json:"maxPoolSize"`
	CapacityUsed       int       `json:"capacityUsed"`
	WaitingForCapacity []string  `json:"waitingForCapacity"`
	// Groups are ordered by name.
	Groups []Group `json:"groups"`
}

// Group has what the page shows of a passenger.GroupSnapshot.
type Group struct {
	Name            string           `json:"name"`
	AppRoot         string           `json:"appRoot"`
	AppType         string           `json:"appType"`
	Environment     string           `json:"environment"`
	ReleaseRoot     string           `json:"releaseRoot"`
	ReleaseMade     time.Time        `json:"releaseMade"`
	Generation      uint32           `json:"generation"`
	Restarting      bool             `json:"restarting"`
	DeploymentError *DeploymentError `json:"deploymentError"`
	LastSpawnError  *SpawnFailure    `json:"lastSpawnError"`
	QueueLength     int              `json:"queueLength"`
	Spawning        int              `json:"spawning"`
	MaxProcesses    int              `json:"maxProcesses"`
	Counts          passenger.Counts `json:"counts"`
	Processes       []Process        `json:"processes"`
}

// DeploymentError is why the last restart failed.
type DeploymentError struct {
	At      time.Time `json:"at"`
	Message string    `json:"message"`
}

// SpawnFailure is the last failed spawn.
type SpawnFailure struct {
	At      time.Time `json:"at"`
	Summary string    `json:"summary"`
}

// Process has what the page shows of a passenger.ProcessSnapshot.
type Process struct {
	PID          int                    `json:"pid"`
	State        passenger.ProcessState `json:"state"`
	Stopping     bool                   `json:"stopping"`
	Exited       bool                   `json:"exited"`
	Generation   uint32                 `json:"generation"`
	Concurrency  int                    `json:"concurrency"`
	Sessions     int                    `json:"sessions"`
	LongSessions int                    `json:"longSessions"`
	Processed    uint64                 `json:"processed"`
	Spawned      time.Time              `json:"spawned"`
	LastUsed     time.Time              `json:"lastUsed"`
	Metrics      procstat.Process       `json:"metrics"`
}

// Request is a request in progress, in the JSON form of a handler.RequestSnapshot, with its application.
type Request struct {
	App           string    `json:"-"`
	ID            string    `json:"id"`
	State         string    `json:"state"`
	Began         time.Time `json:"startedAt"`
	Method        string    `json:"method"`
	Host          string    `json:"host"`
	Path          string    `json:"path"`
	RemoteAddr    string    `json:"remoteAddr"`
	PID           int       `json:"pid"`
	ResponseBytes int64     `json:"responseBytes"`
	AppDone       bool      `json:"appDone"`
	ClientGone    bool      `json:"clientGone"`
}

// Incident is a line about an incident.
type Incident struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Cause   string    `json:"cause"`
	Summary string    `json:"summary"`
	App     string    `json:"app"`
	PID     int       `json:"pid"`
}
