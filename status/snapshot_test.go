package status_test

import (
	"errors"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/procstat"
	"github.com/gopassenger/passenger/spawner"
)

const (
	password = "aB3dE6gH9jK2mN5p"
	apiKey   = "Q7WERTY2UIOP5ASD"
	envValue = "postgres://shop:hunter2@db"
)

// busySnapshot has something of everything.
func busySnapshot() *passenger.Snapshot {
	now := time.Date(2026, 3, 4, 5, 6, 7, 89_000, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	shop := passenger.GroupSnapshot{
		Name:        "/srv/shop (production)",
		UUID:        "AB3DEF7HIJKLMNOPQRST",
		UID:         4242,
		GID:         4242,
		APIKey:      apiKey,
		ReleaseMade: time.Unix(1_700_000_000, 0).UTC(),
		AppRoot:     "/srv/shop",
		AppType:     "rack",
		Environment: "production",
		ReleaseRoot: "/srv/releases/7",
		Releases: passenger.ReleaseDirs{
			Serving: []string{"/srv/releases/7", "/srv/releases/6"},
			Past:    []string{"/srv/releases/5"},
		},
		Generation:         2,
		QueueLength:        3,
		DisableQueueLength: 1,
		Spawning:           1,
		CapacityUsed:       4,
		MinProcesses:       1,
		MaxProcesses:       5,
		Processes: []passenger.ProcessSnapshot{
			{
				PID:          4021,
				GUPID:        "pq3-7fK",
				StickyID:     77,
				State:        "enabled",
				Generation:   2,
				ReleaseRoot:  "/srv/releases/7",
				Concurrency:  1,
				Sessions:     1,
				Busyness:     1<<31 - 1,
				Processed:    88,
				SpawnStarted: ago(2*time.Hour + 4*time.Minute + 11*time.Second),
				Spawned:      ago(2*time.Hour + 4*time.Minute + 9*time.Second),
				LastUsed:     ago(7 * time.Second),
				Metrics: procstat.Process{
					PID:          4021,
					CPU:          procstat.Known(2.6),
					RSS:          procstat.Known[int64](50 << 20),
					PSS:          procstat.Known[int64](45 << 20),
					PrivateDirty: procstat.Known[int64](41 << 20),
					Swap:         procstat.Known[int64](1 << 19),
					VMSize:       procstat.Known[int64](300 << 20),
					PGID:         procstat.Known(4021),
					Command:      procstat.Known("ruby <shop>"),
				},
				Sockets: []passenger.SocketSnapshot{
					{Name: "main", Address: "unix:/tmp/passenger.x/apps.s/1", Protocol: spawner.SessionProtocol, Concurrency: 1, Sessions: 1},
					{Name: "http", Address: "tcp://127.0.0.1:38110", Protocol: "http", Concurrency: 1},
				},
				HTTPAddress: "127.0.0.1:38110",
				Password:    password,
			},
			{
				PID:          4050,
				GUPID:        "pq3-8",
				State:        "disabling",
				Generation:   2,
				Sessions:     12,
				Busyness:     12,
				Processed:    123456,
				SpawnStarted: ago(50 * time.Hour),
				Spawned:      ago(49 * time.Hour),
				LastUsed:     ago(0),
				Password:     password,
				Metrics:      procstat.Process{PID: 4050, RSS: procstat.Known[int64](30 << 20)},
			},
			{PID: 123456, State: "disabled", Generation: 1, ReleaseRoot: "/srv/releases/6", Spawned: ago(time.Hour), SpawnStarted: ago(time.Hour), LastUsed: ago(time.Minute)},
			{
				PID:          4099,
				State:        "detached",
				Stopping:     true,
				Generation:   1,
				Concurrency:  1,
				Processed:    2,
				SpawnStarted: ago(63 * time.Second),
				Spawned:      ago(62 * time.Second),
				LastUsed:     ago(time.Minute),
			},
			{PID: 4100, State: "detached", Stopping: true, Exited: true, Spawned: ago(-time.Second), SpawnStarted: ago(0), LastUsed: ago(0)},
		},
		Options: passenger.Options{
			App: spawner.App{
				Root:         "/srv/shop",
				GroupName:    "/srv/shop (production)",
				Type:         "rack",
				StartupFile:  "config.ru",
				User:         "shop",
				Env:          map[string]string{"DATABASE_URL": envValue},
				StartTimeout: 5 * time.Second,
				LogLevel:     3,
				Ruby:         "/opt/ruby",
			},
			RestartDir:                "tmp2",
			MaxOutOfBandWorkInstances: 2,
		},
	}

	return &passenger.Snapshot{
		Schema:             passenger.SnapshotSchema,
		Version:            "0.1.0",
		At:                 now,
		MaxPoolSize:        6,
		CapacityUsed:       4,
		WaitingForCapacity: []string{"Zoë & sons", "other"},
		Groups: []passenger.GroupSnapshot{
			shop,
			{
				Name:         "blog",
				UID:          -1,
				GID:          -1,
				AppRoot:      "/srv/blog",
				Restarting:   true,
				Spawning:     2,
				CapacityUsed: 2,
				Generation:   1,
				DeploymentError: &passenger.DeploymentError{
					Err: errors.New("cannot start blog:\n  * PID: 1"),
					At:  ago(time.Minute),
				},
				LastSpawnError: &passenger.SpawnFailure{Summary: "it is shown as well", At: now},
				Processes:      []passenger.ProcessSnapshot{},
				Options: passenger.Options{
					App: spawner.App{Root: "/srv/blog", StartCommand: []string{"./serve", "a b"}},
				},
			},
			{
				Name:      "wiki",
				UID:       4242,
				GID:       4242,
				AppRoot:   "/srv/wiki",
				Detached:  true,
				Processes: []passenger.ProcessSnapshot{},
				LastSpawnError: &passenger.SpawnFailure{
					Summary: "the port is taken\x1b[2J",
					ID:      "0badcafe",
					At:      ago(25 * time.Hour),
					Err:     errors.New(password),
				},
			},
		},
	}
}
