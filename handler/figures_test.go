package handler_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// slowly responds after the milliseconds that the query names, with the status that the path names.
func slowly(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)

	wait, _ := strconv.Atoi(r.URL.RawQuery)
	select {
	case <-time.After(time.Duration(wait) * time.Millisecond):
	case <-r.Context().Done():
		return
	}

	status, _ := strconv.Atoi(r.URL.Path[1:])
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "four")
}

func TestFiguresOfRequestsThatHaveEnded(t *testing.T) {
	serve(t, spawnertest.Script{Handler: http.HandlerFunc(slowly)}, func(s *site) {
		s.do(http.MethodGet, "/200?100", "")
		s.do(http.MethodPost, "/201?300", "body")
		s.do(http.MethodGet, "/404?300", "")
		s.do(http.MethodGet, "/503?1000", "")

		f := s.handler.Figures()
		require.Equal(s, [10]uint64{2: 2, 4: 1, 5: 1}, f.Responses)
		require.EqualValues(s, 4, f.Durations.Count)
		require.Equal(s, 1700*time.Millisecond, f.Durations.Sum)
		require.InEpsilon(s, float64(300*time.Millisecond), float64(f.Durations.Quantile(.5)), .05)
		require.EqualValues(s, 4, f.Queued.Count)
		require.Zero(s, f.Queued.Sum)
		require.EqualValues(s, 4, f.RequestBytes)
		require.EqualValues(s, 16, f.ResponseBytes)
	})
}

func TestFiguresOfRequestsThatWaitForAProcess(t *testing.T) {
	serve(t, spawnertest.Script{Handler: http.HandlerFunc(slowly), SpawnDelay: 2 * time.Second}, func(s *site) {
		s.do(http.MethodGet, "/200", "")

		f := s.handler.Figures()
		require.Equal(s, 2*time.Second, f.Queued.Sum)
		require.Equal(s, 2*time.Second, f.Durations.Sum)
	})
}

// What clients choose adds no series: statuses count by their first digit, and clients that left as none.
func TestFiguresOfRequestsThatFail(t *testing.T) {
	serve(t, spawnertest.Script{Handler: http.HandlerFunc(slowly)}, func(s *site) {
		c := s.dial()
		_, err := io.WriteString(c, "GET /200?1000000 HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(s, err)
		synctest.Wait()
		require.Zero(s, s.handler.Figures().Durations.Count, "it is not over")
		require.NoError(s, c.Close())
		synctest.Wait()
		require.Equal(s, [10]uint64{0: 1}, s.handler.Figures().Responses)

		s.factory.Change(func(script *spawnertest.Script) {
			script.BeforeSpawn = func(context.Context, int, spawner.App) error { return errors.New("broken") }
		})
		s.factory.LiveProcesses()[0].Die("signal: killed")
		s.do(http.MethodGet, "/200", "")

		figures := s.handler.Figures()
		require.Equal(s, [10]uint64{0: 1, 5: 1}, figures.Responses)
		require.EqualValues(s, 2, figures.Durations.Count)
		require.EqualValues(s, 1, figures.Queued.Count, "a request that got no process was not queued for it")
	})
}

// A WebSocket says nothing about how fast the application responds.
func TestFiguresOfWebSockets(t *testing.T) {
	for name, app := range upgradingApps() {
		t.Run(name, func(t *testing.T) {
			serve(t, app, func(s *site) {
				c, br := s.upgrade("")
				s.expectLine(br, "welcome")
				time.Sleep(time.Hour)
				require.Equal(s, 1, s.pool.Inspect().Groups[0].Processes[0].LongSessions)
				require.NoError(s, c.Close())
				synctest.Wait()

				f := s.handler.Figures()
				require.Equal(s, [10]uint64{1: 1}, f.Responses)
				require.Zero(s, f.Durations.Count)
				require.EqualValues(s, 1, f.Queued.Count)
			})
		})
	}
}

func TestFiguresOfEventStreams(t *testing.T) {
	// Case does not matter, RFC 9110 section 8.3.1.
	for _, kind := range []string{"text/event-stream", "text/event-stream;charset=utf-8", "Text/Event-Stream ; x=y"} {
		app := spawnertest.Script{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})}
		serve(t, app, func(s *site) {
			c := s.dial()
			_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			require.NoError(s, err)
			time.Sleep(time.Hour)
			require.Equal(s, 1, s.pool.Inspect().Groups[0].Processes[0].LongSessions, kind)
			require.NoError(s, c.Close())
			synctest.Wait()

			require.Zero(s, s.pool.Inspect().Groups[0].Processes[0].LongSessions)
			require.Equal(s, [10]uint64{2: 1}, s.handler.Figures().Responses)
			require.Zero(s, s.handler.Figures().Durations.Count)
		})
	}
}

func TestFiguresLeaveOutPathsThatMetricsExclude(t *testing.T) {
	cfg := handler.Config{MetricsExclude: []string{"/200/caf%C3%A9", "/404"}}
	app := spawnertest.Script{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "four")
	})}
	serveConfig(t, app, cfg, func(s *site) {
		for _, target := range []string{"/200/caf%c3%a9", "/%320%30/caf%C3%A9/deep?x", "/404", "/404/"} {
			s.do(http.MethodGet, target, "")
		}

		f := s.handler.Figures()
		require.Zero(s, f.Responses)
		require.Zero(s, f.Durations.Count)
		require.Zero(s, f.Queued.Count)
		require.EqualValues(s, 16, f.ResponseBytes)

		s.do(http.MethodGet, "/4040", "")
		s.do(http.MethodGet, "/200%2Fcaf%C3%A9", "")
		require.EqualValues(s, 2, s.handler.Figures().Durations.Count)
	})
}
