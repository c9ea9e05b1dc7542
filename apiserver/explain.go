package apiserver

import (
	"net/http"
	"slices"

	"github.com/gopassenger/passenger"
)

// showExplanations responds with what would become of the next request to the applications of the name ?app=NAME, and
// why.
func (c *call) showExplanations() {
	name := c.r.URL.Query().Get("app")
	if name == "" {
		c.fail(http.StatusBadRequest, "",
			"the parameter app must be the name of an application, as GET /pool.json has it")
		return
	}

	all := c.cfg.Pool.Explain(name, func(app passenger.AppIdentity) bool {
		return c.rights.read || slices.Contains(c.rights.apps, app.APIKey)
	})
	if len(all) == 0 {
		c.fail(http.StatusNotFound, "", "the pool has no application of this name: its first request starts a process")
		return
	}

	c.json(http.StatusOK, struct {
		Explanations []passenger.Explanation `json:"explanations"`
	}{all})
}
