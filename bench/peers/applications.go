package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/loaders/goapp"
	"github.com/gopassenger/passenger/spawner"
)

// serveApplication is an application in Go that is as small as may be.
func serveApplication([]string) error { return goapp.Serve(responder()) }

// applicationHost is the host that an application is asked for by.
func applicationHost(i int) string { return fmt.Sprintf("app%d.example", i) }

// serveApplications is a server with n applications, each with a host and
// a process of its own.
func serveApplications(args []string) error {
	if len(args) != 3 {
		return errors.New("applications: give an address, a directory for them, and their number")
	}

	addr, dir := args[0], args[1]
	count, err := strconv.Atoi(args[2])
	if err != nil {
		return fmt.Errorf("applications: %w", err)
	}

	self, err := os.Executable()
	if err != nil {
		return err
	}

	factory, err := spawner.New(spawner.Config{Users: spawner.SameUser})
	if err != nil {
		return err
	}

	pool, err := passenger.New(passenger.Config{MaxPoolSize: count, Spawner: factory})
	if err != nil {
		return err
	}

	hosts := make(map[string]http.Handler, count)
	for i := range count {
		root := filepath.Join(dir, applicationHost(i))
		if err := os.Mkdir(root, 0o700); err != nil { //nolint:gosec // G703: the directory is the bench's own
			return err
		}

		hosts[applicationHost(i)], err = handler.New(pool, handler.Config{Options: passenger.Options{
			App: spawner.App{
				Root:         root,
				StartCommand: []string{self, "application"},
				Environment:  "production",
				Env:          map[string]string{"GOMAXPROCS": "1"},
			},
			MinProcesses: 1, MaxProcesses: 1,
		}})
		if err != nil {
			return err
		}
	}

	first := hosts[applicationHost(0)]

	return serveHTTP(addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if app, ok := hosts[r.Host]; ok {
			app.ServeHTTP(w, r)
			return
		}

		first.ServeHTTP(w, r)
	}))
}
