package passenger_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// faulty is a factory, spawner and process that change what spawnertest's return.
type faulty struct {
	spawner.Factory
	spawner.Spawner
	spawner.Process
	fault string
	info  *spawner.Info
}

func (f *faulty) NewSpawner(app spawner.App) (spawner.Spawner, error) {
	s, err := f.Factory.NewSpawner(app)
	if f.fault == "no Spawner" {
		return nil, err
	}

	f.Spawner = s

	return f, err
}

func (f *faulty) Close() error { return nil }

func (f *faulty) Spawn(ctx context.Context) (spawner.Process, error) {
	if f.fault == "no process" {
		return nil, nil //nolint:nilnil // the fault
	}

	p, err := f.Spawner.Spawn(ctx)
	if err != nil {
		return nil, err
	}

	info := *p.Info()
	f.Process, f.info = p, &info
	socket := &info.Sockets[0]

	switch f.fault {
	case "no Info":
		f.info = nil
	case "no socket":
		info.Sockets = nil
	case "no Dial":
		socket.Dial = nil
	case "negative concurrency":
		socket.Concurrency = -1
	case "no connection":
		socket.Dial = func(context.Context) (net.Conn, error) { return nil, nil } //nolint:nilnil // the fault
	}

	return f, nil
}

func (f *faulty) Info() *spawner.Info { return f.info }

func (f *faulty) Exited() <-chan struct{} {
	if f.fault == "no Exited" {
		return nil
	}

	return f.Process.Exited()
}

// A Spawner of the program's own that breaks its promises ended the program, or kept Close from returning.
func TestSpawnerThatBreaksItsPromisesIsAnError(t *testing.T) {
	for fault, says := range map[string]string{
		"no Spawner":           "NewSpawner returned neither a Spawner nor an error",
		"no process":           "Spawn returned neither a process nor an error",
		"no Info":              "the process has no Info",
		"no Exited":            "the process has no channel Exited",
		"no socket":            "the process has no socket",
		"no Dial":              "socket 0 of the process has no Dial",
		"negative concurrency": "the concurrency of socket 0 of the process is -1",
		"no connection":        "Dial returned neither a connection nor an error",
	} {
		t.Run(fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				factory := spawnertest.New(spawnertest.Script{})
				pool, err := passenger.New(passenger.Config{
					Spawner:    &faulty{Factory: factory, fault: fault},
					Logger:     passenger.Silent(),
					SelfChecks: true,
				})
				require.NoError(t, err)

				s, err := pool.Get(t.Context(), &passenger.Options{App: spawner.App{Root: "/app"}})
				if err == nil {
					_, err = s.Connect(t.Context())
					s.Close(passenger.Discard)
				}

				require.ErrorContains(t, err, "Config.Spawner is at fault: "+says)
				require.NoError(t, pool.Close())
				require.Zero(t, factory.Live())
			})
		})
	}
}
