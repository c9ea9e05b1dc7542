package passengerotel_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	passengerotel "github.com/gopassenger/passenger/contrib/otel"
)

func TestASpawnIsASpan(t *testing.T) {
	play(t, passengerotel.Config{}, func(s *stage) {
		began := time.Now()
		_, spans := s.ask(http.MethodGet, "/")
		require.Len(s, spans, 2)
		spawn, request := spans[0], spans[1]
		require.Equal(s, "passenger spawn", spawn.Name())
		require.Equal(s, trace.SpanKindInternal, spawn.SpanKind())
		require.Equal(s, began, spawn.StartTime())
		require.Equal(s, time.Second, spawn.EndTime().Sub(spawn.StartTime()))
		require.Equal(s, map[string]any{
			"passenger.app.name": "shop", "passenger.generation": int64(0),
			"passenger.process.pid": attributes(request)["passenger.process.pid"],
		}, attributes(spawn))
		require.InDelta(s, 1.0, attributes(request)["passenger.request.queue.duration"], 0.01)
	})
}

func TestASpawnThatFailsIsAnErrorWithoutWhatTheApplicationSaid(t *testing.T) {
	play(t, passengerotel.Config{}, func(s *stage) {
		s.factory.Change(func(script *spawnertest.Script) {
			script.BeforeSpawn = func(context.Context, int, spawner.App) error {
				return errors.New("cannot connect to postgres://shop:secret@db")
			}
		})
		status, spans := s.ask(http.MethodGet, "/")
		require.Equal(s, 500, status)
		require.Len(s, spans, 2)

		for _, span := range spans {
			require.Equal(s, codes.Error, span.Status().Code, span.Name())
			require.Regexp(s, `^cannot start the application: .+ \(error [0-9a-f]{8}\)$`, span.Status().Description)
			require.Equal(s, "spawn_error", attributes(span)["error.type"])
			require.Regexp(s, `^[0-9a-f]{8}$`, attributes(span)["passenger.spawn_error.id"])

			for _, a := range span.Attributes() {
				require.NotContains(s, a.Value.String(), "secret")
			}

			require.NotContains(s, span.Status().Description, "secret")
			require.Empty(s, span.Events())
		}
	})
}

func TestARestartIsASpanWithItsSpawnsWithin(t *testing.T) {
	for name, options := range map[string]passenger.RestartOptions{
		"rolling": {}, "blocking": {Method: passenger.RestartBlocking},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, passengerotel.Config{}, func(s *stage) {
				s.warm()
				require.NoError(s, s.pool.Restart(s.Context(), "shop", options))
				synctest.Wait()
				spans := byName(s.ended())
				spawn, restart := spans["passenger spawn"], spans["passenger restart"]

				require.NotNil(s, restart)
				require.False(s, restart.Parent().IsValid())
				require.Equal(s, map[string]any{
					"passenger.app.name": "shop", "passenger.generation": int64(1),
					"passenger.restart.blocking": name == "blocking",
				}, attributes(restart))
				require.Equal(s, codes.Unset, restart.Status().Code)
				require.NotNil(s, spawn)
				require.Equal(s, restart.SpanContext().SpanID(), spawn.Parent().SpanID())
			})
		})
	}
}

func TestARestartThatFailsIsAnError(t *testing.T) {
	play(t, passengerotel.Config{}, func(s *stage) {
		s.warm()
		s.factory.Change(func(script *spawnertest.Script) {
			script.BeforeSpawn = func(context.Context, int, spawner.App) error { return errors.New("secret") }
		})
		require.Error(s, s.pool.Restart(s.Context(), "shop", passenger.RestartOptions{}))
		synctest.Wait()

		for name, span := range byName(s.ended()) {
			require.Equal(s, codes.Error, span.Status().Code, name)
			require.Equal(s, "spawn_error", attributes(span)["error.type"])
			require.NotContains(s, span.Status().Description, "secret")
		}
	})
}

func TestARestartAndItsSpawnsMayBeToldInAnyOrder(t *testing.T) {
	type o = *passengerotel.Observer
	restart := passenger.RestartEvent{
		ID:         7,
		AppName:    "shop",
		Generation: 3,
		Blocking:   true,
		Took:       time.Minute,
	}
	spawn := passenger.SpawnEvent{
		ID:         8,
		RestartID:  7,
		AppName:    "shop",
		Generation: 3,
		Took:       time.Second,
	}
	began := func(o o) { o.RestartBegan(&restart) }
	ended := func(o o) { o.RestartEnded(&restart) }
	spawning := func(o o) { o.SpawnBegan(&spawn) }

	spawned := func(o o) { o.SpawnEnded(&spawn) }
	for name, order := range map[string][]func(o){
		"as it happens":               {began, spawning, spawned, ended},
		"spawn first":                 {spawning, began, spawned, ended},
		"whole spawn first":           {spawning, spawned, began, ended},
		"end first":                   {ended, began, spawning, spawned},
		"spawn outlives the restart":  {began, spawning, ended, spawned},
		"spawn after the restart":     {began, ended, spawning, spawned},
		"beginning after all of them": {spawning, spawned, ended, began},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, passengerotel.Config{}, func(s *stage) {
				restart.Began = time.Now()
				spawn.Began = restart.Began

				for _, tell := range order {
					tell(s.observer)
				}

				require.Len(s, s.recorder.Started(), 2, "nothing is left open")
				spans := byName(s.ended())
				require.Len(s, spans, 2)
				require.Equal(s, spans["passenger restart"].SpanContext().SpanID(),
					spans["passenger spawn"].Parent().SpanID())
				require.Equal(s, map[string]any{
					"passenger.app.name": "shop", "passenger.generation": int64(3), "passenger.restart.blocking": true,
				}, attributes(spans["passenger restart"]))
				require.Equal(s, restart.Began.Add(time.Minute), spans["passenger restart"].EndTime())
				require.Equal(s, restart.Began.Add(time.Second), spans["passenger spawn"].EndTime())
			})
		})
	}
}

func byName(spans []sdktrace.ReadOnlySpan) map[string]sdktrace.ReadOnlySpan {
	all := map[string]sdktrace.ReadOnlySpan{}
	for _, span := range spans {
		all[span.Name()] = span
	}

	return all
}
