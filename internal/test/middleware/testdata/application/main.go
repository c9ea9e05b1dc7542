// Command application is the application of the tests as a process.
package main

import (
	"log"

	"github.com/gopassenger/passenger/internal/test/middleware/app"
	"github.com/gopassenger/passenger/loaders/goapp"
)

func main() {
	if err := goapp.Serve(app.New()); err != nil {
		log.Fatal(err)
	}
}
