// Command namespaces serves an application whose processes have mounts and process ids
// of their own, by a spawner of one's own around the real one. It needs Linux, root and
// unshare (util-linux).
//
//	go build -o /srv/shop/shop ./examples/apps/go
//	go run ./examples/namespaces /srv/shop ./shop
package main

import (
	"errors"
	"log"
	"net/http"
	"os"
	"slices"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
)

// isolated makes spawners whose processes are in namespaces.
type isolated struct{ spawner.Factory }

// enter runs a command in new namespaces for mounts and processes, with a /proc that
// shows no others, and has it killed when unshare is.
var enter = []string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"}

// NewSpawner puts unshare in front of the start command. The handshake goes through it,
// as unshare leaves stdin and stdout to what it starts.
func (f isolated) NewSpawner(app spawner.App) (spawner.Spawner, error) {
	if app.Root != "" && len(app.StartCommand) == 0 {
		return nil, errors.New("cannot start " + app.Name() + " in namespaces: give it a start command")
	}

	app.StartCommand = slices.Concat(enter, app.StartCommand)

	return f.Factory.NewSpawner(app)
}

func run(root string, command []string) error {
	processes, err := spawner.New(spawner.Config{Users: spawner.SameUser})
	if err != nil {
		return err
	}

	defer func() { _ = processes.Close() }() // after the pool, which does not close what it was given

	pool, err := passenger.New(passenger.Config{Spawner: isolated{processes}})
	if err != nil {
		return err
	}

	defer func() { _ = pool.Close() }()

	app, err := handler.New(pool, handler.Config{
		Options: passenger.Options{App: spawner.App{Root: root, StartCommand: command}},
	})
	if err != nil {
		return err
	}

	return http.ListenAndServe("127.0.0.1:8080", app) //nolint:gosec // G114: as short as it gets
}

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: namespaces DIRECTORY COMMAND [ARGUMENT...]")
	}

	log.Fatal(run(os.Args[1], os.Args[2:]))
}
