package status

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gopassenger/passenger/internal/printable"
)

// Companion is a program that runs beside the processes of an application.
type Companion struct {
	// App is the name of the application, Name that of the companion, and Number counts those of a name from 1.
	App    string `json:"app"`
	Name   string `json:"name"`
	Number int    `json:"number"`
	// State is one of "starting", "running", "backing off", "stopping" and "ended".
	State string `json:"state"`
	// PID is zero if it does not run.
	PID int `json:"pid"`
	// Since is when it entered the state.
	Since time.Time `json:"since"`
	// Restarts is how often it was started again, and RestartsOfName how often all of its name were since the server
	// started. LastExit is how it ended last; empty means never.
	Restarts       int    `json:"restarts"`
	RestartsOfName uint64 `json:"restartsOfName"`
	LastExit       string `json:"lastExit"`
	// Retiring is true if it belongs to an earlier release.
	Retiring bool `json:"retiring"`
}

// WriteCompanions writes companions as text, grouped by application, as they are at now. It writes nothing for none.
func WriteCompanions(w io.Writer, companions []Companion, now time.Time, o TextOptions) error {
	if len(companions) == 0 {
		return nil
	}

	var b strings.Builder
	o.heading(&b, "Companions")
	app := ""

	for i := range companions {
		c := &companions[i]
		if i == 0 || c.App != app {
			app = c.App
			fmt.Fprintf(&b, "%s:\n", printable.Line(app))
		}

		fmt.Fprintf(&b, "  * %-20s   PID: %-7s   Restarts: %-5d   %s for %s\n",
			fmt.Sprintf("%s.%d", printable.Line(c.Name), c.Number), pidText(c.PID), c.Restarts, c.state(),
			duration(now.Sub(c.Since)))
		if c.LastExit != "" {
			fmt.Fprintf(&b, "    Last end: %s\n", printable.Line(c.LastExit))
		}
	}

	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())

	return err
}

func pidText(pid int) string {
	if pid == 0 {
		return "-"
	}

	return fmt.Sprint(pid)
}

func (c *Companion) state() string {
	if c.Retiring {
		return c.State + " (of an earlier release)"
	}

	return c.State
}
