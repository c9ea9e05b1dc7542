package incident

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/test/secrets"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// The request that an incident is about is often the oldest of very many.
func TestRequestOfTheIncidentIsFoundAmongVeryMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		factory := spawnertest.New(spawnertest.Script{})
		_ = factory.Hold("shop")
		pool := spawnertest.NewPool(t, passenger.Config{Spawner: factory})
		h, err := handler.New(pool, handler.Config{
			Options: passenger.Options{
				App:                 spawner.App{Root: "/apps/shop", GroupName: "shop"},
				MaxRequestQueueSize: 2 * maxRequests,
			},
			Logger: passenger.Silent(),
		})
		require.NoError(t, err)

		r := NewRecorder(newStore(t), passenger.Silent())
		r.Watch(pool, func() []*handler.Handler { return []*handler.Handler{h} })

		ctx, leave := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		defer clients.Wait()
		defer leave()

		for n := range maxRequests + 10 {
			id := fmt.Sprint(n)
			asked := httptest.NewRequestWithContext(handler.WithRequestID(ctx, id), http.MethodGet, "/"+id, nil)
			clients.Go(func() {
				defer func() { _ = recover() }() // of http.ErrAbortHandler, when the client leaves
				h.ServeHTTP(httptest.NewRecorder(), asked)
			})
			synctest.Wait()
		}

		record := r.look(ctx, &passenger.Incident{
			Cause:     passenger.IncidentRequestTime,
			At:        time.Now(),
			AppName:   "shop",
			RequestID: "0",
			Target:    "/0",
		})
		require.Equal(t, http.MethodGet, record.Request.Method, "nothing else is known than what the incident says")
		require.Len(t, record.Others, maxRequests)
		require.Equal(t, fmt.Sprint(maxRequests+9), record.Others[0].ID, "the latest come first")
	})
}

// Half of a secret at the end of what is kept looks like none.
func TestTextIsNotCutWithinASecret(t *testing.T) {
	for _, c := range secrets.Cases() {
		if !c.ByItself {
			continue
		}

		for visible := 0; visible <= len(c.Value); visible += 4 {
			before := strings.Repeat("- ", maxText)[:maxText-visible]
			cut := text(before + c.Value + strings.Repeat(" -", maxSecret))
			require.NotContains(t, cut, c.Secret[:len(c.Secret)/2], "the end is behind %q", c.Value[:visible])
			require.LessOrEqual(t, len(cut), maxText+len("..."))
		}
	}

	require.Equal(t, strings.Repeat("é", 10), text(strings.Repeat("é", 10)))
	require.Equal(t, strings.Repeat("é", maxText/2)+"...", text(strings.Repeat("é", maxText)))
	require.Equal(t, "x"+strings.Repeat("é", maxText/2-1)+"...", text("x"+strings.Repeat("é", maxText)))
}
