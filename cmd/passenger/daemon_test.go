package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/agent"
)

// The command waits for the end of a server whose report seems to end early, and such a server has none.
func TestReportOfManyApplicationsIsReadToItsEnd(t *testing.T) {
	const many = 1000

	var report, out bytes.Buffer
	lines := json.NewEncoder(&report)
	banner := strings.Repeat("Application:         /srv/one/of/many/applications\n", many)
	require.NoError(t, lines.Encode(reportLine{Banner: &banner}))

	for n := range many {
		app := agent.AppStart{Dir: fmt.Sprint("/srv/", n), State: agent.StartFailed, Reason: strings.Repeat("why ", 50)}
		if n%2 == 0 {
			app = agent.AppStart{Dir: fmt.Sprint("/srv/", n), State: agent.Started}
		}

		require.NoError(t, lines.Encode(reportLine{App: &app}))
	}

	reasons := strings.Repeat(strings.Repeat("why ", 50)+"\n", many)
	require.NoError(t, lines.Encode(reportLine{FailedApps: reasons}))

	err := followReport(t.Context(), &report, nil, &out, &agent.Config{})
	require.ErrorContains(t, err, reasons)
	require.Contains(t, out.String(), banner)
	require.Contains(t, out.String(), fmt.Sprintf("/srv/%d: started", many-2))
}

// What is no report must not fill the memory.
func TestReportWithoutAnEndIsNoReport(t *testing.T) {
	endless := strings.NewReader(`{"failed": "` + strings.Repeat("x", 2*maxReportLine) + `"}`)
	err := followReport(t.Context(), endless, nil, &bytes.Buffer{}, &agent.Config{LogFile: "/log"})
	require.ErrorContains(t, err, "ended before it could serve: see its log /log")
}
