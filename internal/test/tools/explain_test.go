package tools_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	h := newBox(t).open(t, app("shop", alice), app("blog", bob))
	shop := h.pool.Inspect().Group("shop")
	s, err := h.pool.Get(t.Context(), &shop.Options)
	require.NoError(t, err)
	defer s.Close(passenger.Discard)

	const (
		served = ": a request that came now would be served at once\n  - process "
		busy   = "shop: a request that came now would wait\n" +
			"  - 1 process is busy: 1 of the 1 requests that they take at once are in progress\n"
		running = "These applications are running:\n  blog in /apps/blog\n  shop in /apps/shop\n"
	)
	for _, test := range []struct {
		args           []string
		stdout, stderr string
		status         int
	}{
		{[]string{"/apps/shop"}, busy, "", 0},
		{[]string{"/apps/blog"}, "blog" + served, "", 0},
		{[]string{"--name", "shop"}, busy, "", 0},
		{[]string{"/"}, busy, "", 0},
		{[]string{"/apps/nowhere"}, "", "The instance has no application whose directory begins with /apps/nowhere. " +
			"If it is to serve one, its first request starts a process.\n" + running, 1},
		{[]string{"--name", "sho"}, "", "The instance has no application of the name \"sho\". " +
			"If it is to serve one, its first request starts a process.\n" + running, 1},
		{[]string{"/a", "/b"}, "", "There are 2 arguments, and 'passenger explain' takes one path. " +
			"See 'passenger explain --help' for more information.\n", 1},
		{[]string{"/a", "--name", "b"}, "", "Please pass either a path or --name. See 'passenger explain --help' for " +
			"more information.\n", 1},
	} {
		r := h.run(t, "passenger", append([]string{"explain"}, test.args...)...)
		require.Equal(t, test.status, r.status, test.args)
		require.Contains(t, r.stdout, test.stdout)
		require.Equal(t, test.stderr, r.stderr)
	}

	var all []passenger.Explanation
	r := h.run(t, "passenger", "explain", "/apps", "--json")
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &all), r.stdout)
	require.Len(t, all, 2)
	require.Equal(t, passenger.OutcomeServed, all[0].Outcome)
	require.Equal(t, passenger.OutcomeWaits, all[1].Outcome)
}

func TestExplainIsTenantsOwn(t *testing.T) {
	t.Parallel()
	needRoot(t)
	h := newBox(t).open(t, app("shop", alice), app("blog", bob))
	r := h.runAs(t, alice, "passenger", "explain", "/apps")
	require.Zero(t, r.status, r.stderr)
	require.Contains(t, r.stdout, "shop: ")
	require.NotContains(t, r.stdout, "blog")
	require.Equal(t, 1, h.runAs(t, alice, "passenger", "explain", "/apps/blog").status)
}
