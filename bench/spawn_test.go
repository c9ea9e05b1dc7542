package bench

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopassenger/passenger/spawner"
)

// speaker is a program that does nothing but to speak the handshake.
const speaker = `echo '!> I have control 1.0'
while read -r line && [ -n "$line" ]; do :; done
printf '!> Ready\n!> socket: main;tcp://127.0.0.1:9;http_session;0\n!> \n'
exec cat`

// BenchmarkSpawn measures how long the start of a process takes: what the
// spawner adds to that of a shell, and to that of an interpreter together with
// our loader; and for an application with 40 MB how long it takes directly and
// from a preloader that runs already.
func BenchmarkSpawn(b *testing.B) {
	b.Run("sh/bare", func(b *testing.B) {
		for b.Loop() {
			cmd := exec.Command("/bin/sh", "-c", speaker)
			cmd.Stdin = strings.NewReader("You have control 1.0\n\n")
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sh/spawned", func(b *testing.B) {
		root := b.TempDir()
		if err := os.WriteFile(filepath.Join(root, "speaker"), []byte(speaker), 0o600); err != nil {
			b.Fatal(err)
		}

		spawns(b, spawner.App{Root: root, StartCommand: []string{"/bin/sh", "speaker"}})
	})
	small := map[string]string{
		"rack": "run lambda { |env| [200, {}, ['hello']] }\n",
		"wsgi": "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n",
	}
	startupFile := map[string]string{"rack": "config.ru", "wsgi": "passenger_wsgi.py"}

	bare := map[string]string{"rack": "-e", "wsgi": "-c"}
	for _, app := range large {
		if _, err := exec.LookPath(app.interpreter); err != nil {
			b.Logf("%s is not installed", app.interpreter)
			continue
		}

		b.Run(app.kind+"/bare", func(b *testing.B) {
			for b.Loop() {
				if err := exec.Command(app.interpreter, bare[app.kind], "").Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(app.kind+"/small", func(b *testing.B) {
			root := b.TempDir()
			if err := os.WriteFile(filepath.Join(root, startupFile[app.kind]), []byte(small[app.kind]),
				0o600); err != nil {
				b.Fatal(err)
			}

			spawns(b, spawner.App{
				Root:        root,
				Ruby:        app.interpreter,
				Python:      app.interpreter,
				SpawnMethod: spawner.DirectSpawning,
			})
		})

		for _, method := range []string{spawner.DirectSpawning, spawner.SmartSpawning} {
			b.Run(app.kind+"/large "+method, func(b *testing.B) {
				root, err := filepath.Abs(filepath.Join("testdata", app.dir))
				if err != nil {
					b.Fatal(err)
				}

				spawns(b, spawner.App{
					Root:        root,
					Ruby:        app.interpreter,
					Python:      app.interpreter,
					SpawnMethod: method,
					Env:         map[string]string{"USE": "1"},
				})
			})
		}
	}
}

// spawns measures spawns without their stops, and without the first one, which
// may start a preloader.
func spawns(b *testing.B, app spawner.App) {
	b.Helper()
	factory, err := spawner.New(spawner.Config{Users: spawner.SameUser})
	if err != nil {
		b.Fatal(err)
	}
	defer factory.Close()
	s, err := factory.NewSpawner(app)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	spawn := func() spawner.Process {
		p, err := s.Spawn(context.Background())
		if err != nil {
			b.Fatal(err)
		}

		return p
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	spawn().Stop(ended)

	for b.Loop() {
		p := spawn()
		b.StopTimer()
		p.Stop(ended)
		b.StartTimer()
	}
}
