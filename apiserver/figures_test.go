package apiserver_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/status"
)

func withFigures(c *apiserver.Config) {
	c.Figures = func(app string, points int) (all []status.Figures) {
		for _, name := range []string{"idle", "shop"} {
			if app == "" || app == name {
				all = append(all, status.Figures{App: name, Points: make([]status.Point, points)})
			}
		}

		return all
	}
}

// shownFigures are the points of each application that a response has.
func shownFigures(t *testing.T, body string) map[string]int {
	t.Helper()
	var shown struct{ Figures []status.Figures }
	require.NoError(t, json.Unmarshal([]byte(body), &shown))
	points := map[string]int{}

	for _, f := range shown.Figures {
		points[f.App] = len(f.Points)
	}

	return points
}

func TestFiguresOfOneApplicationOrAll(t *testing.T) {
	h := newHouse(t, withFigures).tenants().onUnix()

	for query, want := range map[string]map[string]int{
		"":                        {"idle": 0, "shop": 0},
		"?points=3":               {"idle": 3, "shop": 3},
		"?app=shop&points=720":    {"shop": 720},
		"?app=no%20such&points=1": {},
	} {
		require.Equal(t, want, shownFigures(t, h.ask("GET", "/figures.json"+query, "").Body), query)
	}

	for _, points := range []string{"721", "-1", "many", "1e2"} {
		a := h.ask("GET", "/figures.json?points="+points, "")
		require.Equal(t, 400, a.Status)
		require.Contains(t, a.Body, "must be a number from 0 to 720")
	}
}

func TestWithoutAHistoryThereAreNoFigures(t *testing.T) {
	h := newHouse(t).tenants().onUnix()
	require.JSONEq(t, `{"figures":[]}`, h.ask("GET", "/figures.json", "").Body)
}

func TestTenantSeesTheFiguresOfItsApplicationsOnly(t *testing.T) {
	h := newHouse(t, withFigures).tenants().onUnix()

	user := becomes(t, bob)
	a := user.call(h.get("/figures.json"))
	require.Equal(t, 200, a.Status)

	for app := range shownFigures(t, a.Body) {
		seen := user.call(h.get("/pool.json"))
		require.Contains(t, seen.Body, fmt.Sprintf("%q", app))
	}

	require.NotContains(t, shownFigures(t, a.Body), "shop")
}
