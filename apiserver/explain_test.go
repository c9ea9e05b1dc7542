package apiserver_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
)

func explanations(t *testing.T, body string) []passenger.Explanation {
	t.Helper()
	var response struct{ Explanations []passenger.Explanation }
	require.NoError(t, json.Unmarshal([]byte(body), &response))

	return response.Explanations
}

func TestExplanationsSayWhatBecomesOfTheNextRequest(t *testing.T) {
	h := newHouse(t).tenants().onUnix()
	groups := h.pool.Inspect().Groups
	require.NotEmpty(t, groups)

	for _, g := range groups {
		a := h.ask("GET", "/pool/explain.json?app="+url.QueryEscape(g.Name), "")
		require.Equal(t, 200, a.Status, a.Body)
		require.Equal(t, h.pool.Explain(g.Name, nil), explanations(t, a.Body))
	}

	a := h.ask("GET", "/pool/explain.json", "")
	require.Equal(t, 400, a.Status)
	require.Contains(t, a.Body, "the parameter app must be the name of an application")

	a = h.ask("GET", "/pool/explain.json?app=nowhere", "")
	require.Equal(t, 404, a.Status)
	require.Contains(t, a.Body, "its first request starts a process")
}

func TestTenantGetsExplanationsOfItsApplicationsOnly(t *testing.T) {
	h := newHouse(t).tenants().onUnix()
	user := becomes(t, bob)

	shown := 0
	for _, g := range h.pool.Inspect().Groups {
		path := "/pool/explain.json?app=" + url.QueryEscape(g.Name)
		a := user.call(h.get(path))
		if a.Status == 404 {
			require.NotEqual(t, bob, g.UID)
			continue
		}

		// An application of another user may have the same name.
		for _, e := range explanations(t, a.Body) {
			shown++
			require.True(t, slices.ContainsFunc(h.pool.Inspect().Groups, func(g passenger.GroupSnapshot) bool {
				return g.AppRoot == e.AppRoot && g.UID == bob
			}), "%+v", e)
		}
	}

	require.Positive(t, shown)
}
