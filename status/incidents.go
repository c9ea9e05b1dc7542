package status

import "time"

// Incident is a line about an incident: a process that died by itself or was killed for a limit, or a request that was
// given up.
type Incident struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
	// Cause is that of [passenger.Incident], and Summary says in one sentence what happened.
	Cause   string `json:"cause"`
	Summary string `json:"summary"`
	// App is the name of the application's group.
	App string `json:"app"`
	// PID is that of the process; zero means that the incident is about none.
	PID int `json:"pid"`
	// File has all that was recorded, as JSON.
	File string `json:"file"`
}
