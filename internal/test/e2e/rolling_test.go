package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/test/longtests"
)

// Rolling restarts that are ordered by the admin API lose no request, however many
// there are. A long run has a hundred.
// Faults: P1.
func TestRollingRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	restarts := longtests.Rounds(t, 6, 100)

	const clients = 8
	dir := t.TempDir()
	s := start(t, &launch{dir: dir, args: append(testApp(t), "--min-instances", "2", "--max-pool-size", "4")})
	s.requireApps(t, 2)
	body := bytes.Repeat([]byte("0123456789abcdef"), 1024)
	l := s.load(t, clients, func(ctx context.Context, c *client) error { return post(ctx, c, body) })
	admin := s.admin(t, instancedir.CoreAPI)

	for generation := range restarts {
		restarted, err := admin.Restart(t.Context(), dir+" (development)", apiserver.RestartOptions{
			Method: "rolling",
			Wait:   true,
		})
		require.NoError(t, err)
		require.True(t, restarted)

		snapshot, err := admin.Pool(t.Context())
		require.NoError(t, err)

		for _, pr := range snapshot.Groups[0].Processes {
			if pr.State != passenger.ProcessDetached {
				require.EqualValues(t, generation+1, pr.Generation, "not all processes were replaced")
			}
		}

		l.Progress(t, 50)
	}

	l.RequireNoneLost(t)
	t.Logf("%d restarts, %d requests", restarts, l.Served.Load())
}

// post sends a body and checks the response.
func post(ctx context.Context, c *client, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/length", bytes.NewReader(body))
	if err != nil {
		return err
	}

	a, err := c.do(req)
	if err == nil && (a.StatusCode != http.StatusOK || a.body != fmt.Sprint(len(body))) {
		err = fmt.Errorf("the response is %s: %.200s", a.Status, a.body)
	}

	return err
}
