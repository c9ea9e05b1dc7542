package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/instancedir"
)

// Rolling restarts that are ordered by the admin API lose no request, however many
// there are. A hundred of them run with PASSENGER_LONG_TESTS=1.
func TestRollingRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	restarts := 15
	if os.Getenv("PASSENGER_LONG_TESTS") != "" {
		restarts = 100
	}
	const clients = 8
	dir := t.TempDir()
	s := start(t, &launch{dir: dir, args: append(testApp(t), "--min-instances", "2", "--max-pool-size", "4")})
	s.requireApps(t, 2)
	body := bytes.Repeat([]byte("0123456789abcdef"), 1024)
	ctx, stop := context.WithCancel(t.Context())
	var served atomic.Int64
	var posting sync.WaitGroup
	defer posting.Wait()
	defer stop()
	for range clients {
		c := s.client(t)
		posting.Go(func() {
			for ctx.Err() == nil {
				if err := post(ctx, c, body); err != nil && ctx.Err() == nil {
					t.Errorf("a request was lost: %v", err)
					return
				}
				served.Add(1)
			}
		})
	}
	admin := s.admin(t, instancedir.CoreAPI)
	seen := map[int]bool{}
	for range restarts {
		before := served.Load()
		restarted, err := admin.Restart(t.Context(), dir+" (development)", apiserver.RestartOptions{Method: "rolling", Wait: true})
		require.NoError(t, err)
		require.True(t, restarted)
		for _, pid := range s.apps(t) {
			seen[pid] = true
		}
		eventually(t, func() error {
			if served.Load() < before+50 {
				return fmt.Errorf("%d requests were served", served.Load()-before)
			}
			return nil
		})
	}
	stop()
	posting.Wait()
	require.GreaterOrEqual(t, len(seen), 2*restarts, "not all processes were replaced")
	t.Logf("%d restarts, %d requests", restarts, served.Load())
}

// post sends a body and checks the answer.
func post(ctx context.Context, c *client, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/length", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || string(answer) != fmt.Sprint(len(body))) {
		err = fmt.Errorf("answered with %s: %.200s", resp.Status, answer)
	}
	return err
}
