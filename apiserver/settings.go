package apiserver

import (
	"encoding/json"
	"errors"
	"net/http"
)

func (c *call) showSettings() {
	settings := map[string]any{}
	if c.cfg.Settings != nil {
		settings = c.cfg.Settings()
	}

	c.json(http.StatusOK, settings)
}

func (c *call) changeSettings() {
	if c.cfg.ChangeSettings == nil {
		c.missing("change its settings")
		return
	}

	var changes map[string]json.RawMessage
	if !c.decode(&changes) {
		return
	}

	if len(changes) == 0 {
		c.fail(http.StatusBadRequest, "", "the body names no setting to change")
		return
	}

	if err := c.cfg.ChangeSettings(changes); err != nil {
		c.fail(http.StatusBadRequest, "", err.Error())
		return
	}

	c.ok()
}

func (c *call) readSettings() {
	var order struct {
		Force bool `json:"force"`
	}
	if c.r.ContentLength != 0 && !c.decode(&order) {
		return
	}

	reload := c.reload
	if order.Force {
		reload = c.forceReload
	}

	if reload == nil {
		c.missing("read its configuration again")
		return
	}

	if err := reload(c.r.Context()); err != nil {
		c.fail(http.StatusBadRequest, "", err.Error())
		return
	}

	c.ok()
}

// ErrNoLogFile is what Config.ReopenLogs returns where there is no file to open again now.
var ErrNoLogFile = errors.New("there is no log file to open again")

// reopenLogs and reinheritLogs are one thing to us; tools know them by these
// codes.
func (c *call) reopenLogs() { c.openLogs("LOG_FILE_OPEN_ERROR", ErrNoLogFile.Error()) }

func (c *call) reinheritLogs() { c.openLogs("INHERIT_ERROR", "the watchdog has no log file") }

// openLogs opens the files again. code is that of a failure, none says that there is no file.
func (c *call) openLogs(code, none string) {
	err := ErrNoLogFile
	if c.cfg.ReopenLogs != nil {
		err = c.cfg.ReopenLogs()
	}

	switch {
	case err == nil:
		c.ok()
	case errors.Is(err, ErrNoLogFile):
		c.fail(http.StatusInternalServerError, "NO_LOG_FILE", none)
	default:
		c.fail(http.StatusInternalServerError, code, err.Error())
	}
}
