package apiserver

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/status"
)

// maxPoints bounds how much of the history one response has for each application.
const maxPoints = 720

// showFigures responds with what the applications that the caller may see were like of late. ?app=NAME selects one,
// ?points=N asks for the newest N points of the last hour; there are none without it.
func (c *call) showFigures() {
	points := 0
	if text := c.r.URL.Query().Get("points"); text != "" {
		var err error
		if points, err = strconv.Atoi(text); err != nil || points < 0 || points > maxPoints {
			c.fail(http.StatusBadRequest, "",
				"the parameter points must be a number from 0 to "+strconv.Itoa(maxPoints))
			return
		}
	}

	c.json(http.StatusOK, struct {
		Figures []status.Figures `json:"figures"`
	}{c.figures(c.r.URL.Query().Get("app"), points)})
}

// figures are those of the applications that the caller may see.
func (c *call) figures(app string, points int) []status.Figures {
	all := []status.Figures{}
	if c.cfg.Figures != nil {
		all = append(all, c.cfg.Figures(app, points)...)
	}

	if c.rights.read {
		return all
	}

	s := c.view()

	return slices.DeleteFunc(all, func(one status.Figures) bool {
		return !slices.ContainsFunc(s.Groups, func(g passenger.GroupSnapshot) bool { return g.Name == one.App })
	})
}
