// Command minimal serves an application in any language from a Go program.
//
//	go run ./examples/minimal /srv/shop
package main

import (
	"log"
	"net/http"
	"os"
	"path/filepath"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("name the application's directory")
	}

	root, err := filepath.Abs(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}

	pool, err := passenger.New(passenger.Config{})
	if err != nil {
		log.Fatal(err)
	}

	app, err := handler.New(pool, handler.Config{Options: passenger.Options{App: spawner.App{Root: root}}})
	if err != nil {
		log.Fatal(err)
	}

	log.Fatal(http.ListenAndServe("127.0.0.1:8080", app)) //nolint:gosec // G114: as short as it gets
}
