package apiserver

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/status"
)

var poolPaths = map[string]bool{
	"/pool.txt": true, "/pool.xml": true, "/pool.json": true, "/pool/errors.txt": true, "/pool/errors.json": true,
}

// view is the pool as the caller may see it. Only who may change an application
// gets its secrets, since the API key among them lets one change it.
func (c *call) view() passenger.Snapshot {
	c.cfg.Pool.ReadMetrics()

	if !c.rights.read {
		return c.cfg.Pool.InspectApps(c.rights.apps)
	}

	s := c.cfg.Pool.Inspect()
	if c.rights.modify {
		return s
	}

	for i := range s.Groups {
		// An account that only reads may come from the user of some of the applications.
		if g := &s.Groups[i]; !slices.Contains(c.rights.apps, g.APIKey) {
			g.APIKey = ""
			for j := range g.Processes {
				g.Processes[j].Password = ""
			}
		}
	}

	return s
}

func (c *call) showPoolAsText() {
	query := c.r.URL.Query()
	colorize, ok := c.flag(query, "colorize")
	if !ok {
		return
	}

	verbose, ok := c.flag(query, "verbose")
	if !ok {
		return
	}

	s := c.view()
	for i := range s.Groups {
		for j := range s.Groups[i].Processes {
			if p := &s.Groups[i].Processes[j]; p.Password == "" {
				p.HTTPAddress = "" // which is of no use without
			}
		}
	}

	var b bytes.Buffer
	o := status.TextOptions{Verbose: verbose, Colorize: colorize}
	_ = status.WriteText(&b, s, o) // a buffer takes everything
	c.writeCompanions(&b, &s, o)
	c.write(http.StatusOK, textType, b.Bytes())
}

func (c *call) showPoolAsXML() {
	secrets, ok := c.flag(c.r.URL.Query(), "secrets")
	if !ok {
		return
	}

	s := c.view()
	var b bytes.Buffer
	_ = status.WriteXML(&b, s, status.XMLOptions{Secrets: secrets}) // a buffer takes everything
	c.write(http.StatusOK, xmlType, b.Bytes())
}

// showPoolAsJSON shows the pool in Passenger's form or, if the parameter form says
// so, as a passenger.Snapshot. It takes the parameter secrets, as Passenger does,
// but there are none in these forms.
func (c *call) showPoolAsJSON() {
	query := c.r.URL.Query()
	if _, ok := c.flag(query, "secrets"); !ok {
		return
	}

	s := c.view()
	switch query.Get("form") {
	case "snapshot":
		c.json(http.StatusOK, struct {
			passenger.Snapshot

			Companions []status.Companion `json:"companions,omitempty"`
		}{s, c.companions(&s)})
	case "":
		var b bytes.Buffer
		if err := status.WriteJSON(&b, s, c.companions(&s)...); err != nil {
			c.fail(http.StatusInternalServerError, "", err.Error())
			return
		}

		c.write(http.StatusOK, jsonType, b.Bytes())
	default:
		c.fail(http.StatusBadRequest, "", "the parameter form can only be snapshot")
	}
}

// failures are the last failed starts that the caller may see.
func (c *call) failures() []passenger.FailedSpawn {
	if c.rights.read {
		return c.cfg.Pool.FailedSpawns()
	}

	return c.cfg.Pool.FailedSpawnsOf(c.rights.apps)
}

func (c *call) showFailuresAsText() {
	colorize, ok := c.flag(c.r.URL.Query(), "colorize")
	if !ok {
		return
	}

	var b bytes.Buffer

	// a buffer takes everything
	_ = status.WriteFailedSpawns(&b, c.failures(), status.TextOptions{Colorize: colorize})
	c.write(http.StatusOK, textType, b.Bytes())
}

func (c *call) showFailuresAsJSON() {
	c.json(http.StatusOK, c.failures())
}

var restartMethods = map[string]passenger.RestartMethod{
	"": passenger.RestartDefault, "blocking": passenger.RestartBlocking, "rolling": passenger.RestartRolling,
}

func (c *call) restartGroup() {
	var order struct {
		Name   string `json:"name"`
		Method string `json:"restart_method"`
		Wait   bool   `json:"wait"`
	}
	if !c.decode(&order) {
		return
	}

	method, known := restartMethods[order.Method]
	switch {
	case order.Name == "":
		c.fail(http.StatusBadRequest, "", "the field name, of the application to restart, is missing")
		return
	case !known:
		c.fail(http.StatusBadRequest, "", `the field restart_method is neither "blocking" nor "rolling"`)
		return
	}

	keys := c.keysOf(order.Name)
	// An application of others gets the response of one that does not exist, so that names cannot be guessed.
	if len(keys) == 0 && !c.rights.modify {
		c.unauthorized()
		return
	}

	n, wait, err := c.cfg.Pool.BeginRestart(order.Name, passenger.RestartOptions{
		Method:  method,
		Allowed: func(app passenger.AppIdentity) bool { return slices.Contains(keys, app.APIKey) },
	})
	if err != nil {
		c.fail(http.StatusServiceUnavailable, "", err.Error())
		return
	}

	if order.Wait {
		if err := wait(c.r.Context()); err != nil {
			c.failRestart(err)
			return
		}
	}

	restarted := n > 0
	if !restarted && c.rights.modify && c.cfg.RestartAbsent != nil {
		restarted = c.cfg.RestartAbsent(order.Name)
	}

	c.json(http.StatusOK, map[string]bool{"restarted": restarted})
}

// failRestart says why a restart has failed. A pool that ends says nothing that a user would understand.
func (c *call) failRestart(err error) {
	if errors.Is(err, passenger.ErrClosed) || c.r.Context().Err() != nil {
		c.fail(http.StatusServiceUnavailable, "RESTART_INTERRUPTED", "the server, or the core that a reload replaces, "+
			"ends before the new processes have started: the core after a reload starts those of the newest release")
		return
	}

	c.fail(http.StatusInternalServerError, "", err.Error())
}

// keysOf are the API keys of the applications of this name that the caller may
// change.
func (c *call) keysOf(name string) (keys []string) {
	for _, app := range c.cfg.Pool.Identities() {
		if app.Name == name && (c.rights.modify || slices.Contains(c.rights.apps, app.APIKey)) {
			keys = append(keys, app.APIKey)
		}
	}

	return keys
}

func (c *call) detachProcess() {
	var order struct {
		PID int `json:"pid"`
	}
	if !c.decode(&order) {
		return
	}

	if order.PID <= 0 {
		c.fail(http.StatusBadRequest, "", "the field pid, of the process to detach, is missing or not a number above 0")
		return
	}

	// A process that the caller may not change is none for them.
	err := passenger.ErrNoSuchProcess
	if id := c.processID(order.PID); id != "" {
		err = c.cfg.Pool.DetachProcess(id)
	}

	if err != nil && !errors.Is(err, passenger.ErrNoSuchProcess) {
		c.fail(http.StatusServiceUnavailable, "", err.Error())
		return
	}

	c.json(http.StatusOK, map[string]bool{"detached": err == nil})
}

// processID is what names the process, if it is one that the caller may change.
// A pid might be another one's when it is used.
func (c *call) processID(pid int) string {
	if c.rights.modify {
		return strconv.Itoa(pid)
	}

	s := c.cfg.Pool.InspectApps(c.rights.apps)
	for i := range s.Groups {
		for _, p := range s.Groups[i].Processes {
			if p.PID == pid && p.State != passenger.ProcessDetached {
				return p.GUPID
			}
		}
	}

	return ""
}
