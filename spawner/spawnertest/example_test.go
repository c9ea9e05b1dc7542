package spawnertest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// In a test, NewPool makes the pool and closes it.
func ExampleNew() {
	factory := spawnertest.New(spawnertest.Script{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }),
	})
	pool, err := passenger.New(passenger.Config{Spawner: factory})
	if err != nil {
		log.Fatal(err)
	}

	defer func() { _ = pool.Close() }()
	app, err := handler.New(pool, handler.Config{Options: passenger.Options{App: spawner.App{Root: "/srv/shop"}}})
	if err != nil {
		log.Fatal(err)
	}

	w := httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code, w.Body, factory.Spawns())
	// Output: 200 hello 1
}

func ExampleFactory_Hold() {
	factory := spawnertest.New(spawnertest.Script{})
	pool, err := passenger.New(passenger.Config{Spawner: factory, Logger: passenger.Silent()})
	if err != nil {
		log.Fatal(err)
	}

	defer func() { _ = pool.Close() }()

	// Whatever the test wants to happen while the application starts, happens here.
	starts := factory.Hold("shop")
	result := make(chan error, 1)
	go func() {
		result <- pool.Start(context.Background(), &passenger.Options{App: spawner.App{
			Root:      "/srv/shop",
			GroupName: "shop",
		}})
	}()
	if err := starts.Wait(context.Background(), 1); err != nil {
		log.Fatal(err)
	}

	fmt.Println("starting:", pool.Inspect().Group("shop").Spawning)

	starts.Release(errors.New("no such gem"))
	fmt.Println(<-result)
	// Output:
	// starting: 1
	// cannot start shop: no such gem (error 00000001)
}
