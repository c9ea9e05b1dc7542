package status

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gopassenger/passenger/internal/printable"
)

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

// WriteIncidents writes incidents as text, in their order.
func WriteIncidents(w io.Writer, incidents []Incident) error {
	if len(incidents) == 0 {
		_, err := io.WriteString(w, "No incident was recorded.\n")
		return err
	}

	var b strings.Builder
	for i := range incidents {
		c := &incidents[i]
		fmt.Fprintf(&b, "%s  %s  %s\n    %s\n", c.At.Local().Format(time.DateTime), printable.Line(c.ID),
			printable.Line(c.App), printable.Line(c.Summary))
	}

	_, err := io.WriteString(w, b.String())

	return err
}
