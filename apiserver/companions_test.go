package apiserver_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/status"
)

func withCompanions(c *apiserver.Config) {
	c.Companions = func() []status.Companion {
		return []status.Companion{
			{App: "shop", Name: "jobs", Number: 1, State: "running", PID: 5, Since: time.Now(), RestartsOfName: 3},
			{App: "shop", Name: "jobs", Number: 2, State: "ended", Since: time.Now(), RestartsOfName: 3},
			{App: "idle", Name: "clock", Number: 1, State: "starting", Since: time.Now()},
		}
	}
}

func TestCompanionsAreShown(t *testing.T) {
	h := newHouse(t, withCompanions).tenants().onUnix()
	require.Contains(t, h.ask("GET", "/pool.txt", "").Body, "----------- Companions -----------\nshop:\n  * jobs.1 ")
	require.Contains(t, h.ask("GET", "/pool.json", "").Body, `"companions":[{"app":"shop","name":"jobs","number":1`)
	require.Contains(t, h.ask("GET", "/pool.json?form=snapshot", "").Body, `"companions":[{"app":"shop"`)

	a := responseOf(t, h.server.Metrics(), "GET", "/metrics")
	for _, line := range []string{
		`passenger_companions{app="shop",name="jobs",state="running"} 1`,
		`passenger_companions{app="shop",name="jobs",state="ended"} 1`,
		`passenger_companions{app="idle",name="clock",state="backing off"} 0`,
		`passenger_companion_restarts_total{app="shop",name="jobs"} 3`,
	} {
		require.Contains(t, a.Body, line+"\n")
	}
}

func TestNothingIsShownWithoutCompanions(t *testing.T) {
	h := newHouse(t).tenants().onUnix()
	for _, path := range []string{"/pool.txt", "/pool.json", "/pool.json?form=snapshot", "/metrics"} {
		require.NotRegexp(t, "(?i)companions", h.ask("GET", path, "").Body, path)
	}
}

func TestTenantSeesTheCompanionsOfItsApplicationsOnly(t *testing.T) {
	h := newHouse(t, withCompanions).tenants().onUnix()

	user := becomes(t, bob)
	for _, path := range []string{"/pool.txt", "/pool.json", "/pool.json?form=snapshot"} {
		a := user.call(h.get(path))
		require.Equal(t, 200, a.Status)
		require.NotContains(t, a.Body, "jobs", path)
		require.NotContains(t, a.Body, "clock", path)
	}
}
