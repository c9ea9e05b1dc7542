package apiserver

import (
	"encoding/json"
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

// reopenLogs and reinheritLogs are one thing to us; tools know them by these
// codes.
func (c *call) reopenLogs() {
	if c.cfg.ReopenLogs == nil {
		c.fail(http.StatusInternalServerError, "NO_LOG_FILE", "there is no log file to open again")
		return
	}

	c.openLogs("LOG_FILE_OPEN_ERROR")
}

func (c *call) reinheritLogs() {
	if c.cfg.ReopenLogs == nil {
		c.fail(http.StatusInternalServerError, "NO_LOG_FILE", "the watchdog has no log file")
		return
	}

	c.openLogs("INHERIT_ERROR")
}

func (c *call) openLogs(code string) {
	if err := c.cfg.ReopenLogs(); err != nil {
		c.fail(http.StatusInternalServerError, code, err.Error())
		return
	}

	c.ok()
}
