package handler_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// Faults: P11.
func TestConnectFailureTriesAnotherProcess(t *testing.T) {
	app := spawnertest.Script{
		Handler: http.HandlerFunc(echo),
		BeforeDial: func(_ context.Context, p *spawnertest.Process) error {
			if p.Info().PID < 1003 {
				return errors.New("refused")
			}

			return nil
		},
	}
	serve(t, app, func(s *site) {
		resp, _ := s.do(http.MethodPost, "/", "x")
		require.Equal(s, http.StatusOK, resp.StatusCode)
		require.Equal(s, 4, s.factory.Spawns())
	})
	app.BeforeDial = func(context.Context, *spawnertest.Process) error { return errors.New("refused") }
	serve(t, app, func(s *site) {
		resp, _ := s.do(http.MethodPost, "/", "x")
		require.Equal(s, http.StatusBadGateway, resp.StatusCode)
		require.Equal(s, 10, s.factory.Spawns())
	})
}

func TestProcessThatTakesNoConnection(t *testing.T) {
	app := spawnertest.Script{BeforeDial: func(ctx context.Context, _ *spawnertest.Process) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	serve(t, app, func(s *site) {
		began := time.Now()
		resp, _ := s.do(http.MethodGet, "/", "")
		require.Equal(s, http.StatusServiceUnavailable, resp.StatusCode)
		require.Equal(s, "1", resp.Header.Get("Retry-After"))
		require.Equal(s, handler.DefaultConnectTimeout, time.Since(began))
	})
}

// A process that takes no connection for a while keeps the request only while no other process has room.
func TestRequestGoesWhereAConnectionIsTaken(t *testing.T) {
	app := spawnertest.Script{
		Handler: http.HandlerFunc(echo),
		BeforeDial: func(ctx context.Context, p *spawnertest.Process) error {
			if p.Info().PID > 1000 {
				return nil
			}

			<-ctx.Done()

			return ctx.Err()
		},
	}
	serve(t, app, func(s *site) {
		began := time.Now()
		resp, _ := s.do(http.MethodPost, "/", "x")
		require.Equal(s, http.StatusOK, resp.StatusCode)
		require.Less(s, time.Since(began), handler.DefaultConnectTimeout)
		require.Equal(s, 2, s.factory.Spawns())
		synctest.Wait()
		require.Zero(s, s.sessions(), "the first process has its session no more")
	})
}
