package status_test

import (
	"log"
	"os"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"github.com/gopassenger/passenger/status"
)

func ExampleWriteText() {
	pool, err := passenger.New(passenger.Config{MaxPoolSize: 2, Spawner: spawnertest.New(spawnertest.Script{})})
	if err != nil {
		log.Fatal(err)
	}

	defer func() { _ = pool.Close() }()

	if err := status.WriteText(os.Stdout, pool.Inspect(), status.TextOptions{}); err != nil {
		log.Fatal(err)
	}

	// Output:
	// ----------- General information -----------
	// Max pool size : 2
	// App groups    : 0
	// Processes     : 0
	// Requests in top-level queue : 0
	//
	// ----------- Application groups -----------
}
