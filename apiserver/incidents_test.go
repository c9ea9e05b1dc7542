package apiserver_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/status"
)

// recorded has one incident, and sees what processes of the pool of these IDs do.
type recorded []string

func (recorded) List() []status.Incident {
	return []status.Incident{{
		ID:      "20260102-7",
		At:      time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Cause:   "exit",
		Summary: "it ended",
		App:     "shop",
		PID:     7,
		File:    "/var/7.json",
	}}
}

func (recorded) Read(id string) ([]byte, error) {
	switch id {
	case "20260102-7":
		return []byte(`{"id":"20260102-7"}`), nil
	case "20260102-8":
		return nil, errors.New("the disk is broken")
	}

	return nil, fs.ErrNotExist
}

func (r recorded) Look(_ context.Context, id string) ([]byte, error) {
	if slices.Contains(r, id) {
		return []byte(`{"pid":1000}`), nil
	}

	return nil, passenger.ErrNoSuchProcess
}

func TestIncidents(t *testing.T) {
	h := newHouse(t, func(c *apiserver.Config) { c.Incidents = recorded{"1000"} }).tenants().onUnix()

	for _, test := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/incidents.json", "", 200, `{"incidents":[{"id":"20260102-7","at":"2026-01-02T03:04:05Z"`},
		{"GET", "/incidents/20260102-7.json", "", 200, `{"id":"20260102-7"}`},
		{"GET", "/incidents/20260102-8.json", "", 500, "the disk is broken"},
		{"GET", "/incidents/20260102-9.json", "", 404, "no incident of that id"},
		{"GET", "/incidents/../x.json", "", 404, "no such path"},
		{"GET", "/incidents/%2e%2e%2fx.json", "", 404, "no such path"},
		{"GET", "/incidents/.json", "", 404, "no such path"},
		{"GET", "/incidents/" + strings.Repeat("9", 65) + ".json", "", 404, "no such path"},
		{"POST", "/incidents.json", "{}", 405, "GET, HEAD"},
		{"POST", "/pool/backtraces.json", `{"pid":1000}`, 200, `{"pid":1000}`},
		{"POST", "/pool/backtraces.json", `{"pid":9}`, 404, "no process of that pid"},
		{"POST", "/pool/backtraces.json", `{}`, 400, "field pid"},
	} {
		a := h.ask(test.method, test.path, test.body)
		require.Equal(t, test.status, a.Status, test.path)
		require.Contains(t, a.Body, test.says, test.path)
	}
}

func TestServerWithoutIncidents(t *testing.T) {
	h := newHouse(t).tenants().onUnix()

	require.JSONEq(t, `{"incidents":[]}`, h.ask("GET", "/incidents.json", "").Body)
	require.Equal(t, 404, h.ask("GET", "/incidents/1.json", "").Status)
	require.Equal(t, 501, h.ask("POST", "/pool/backtraces.json", `{"pid":1000}`).Status)
}
