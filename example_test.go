package passenger_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// shop is the application of the examples.
func shop() *passenger.Options {
	return &passenger.Options{App: spawner.App{Root: "/srv/shop", GroupName: "shop"}}
}

// played returns a pool whose processes are played, as in a test.
func played(script spawnertest.Script) (*passenger.Pool, *spawnertest.Factory) {
	factory := spawnertest.New(script)
	pool, err := passenger.New(passenger.Config{Spawner: factory, Logger: passenger.Silent()})
	if err != nil {
		log.Fatal(err)
	}

	return pool, factory
}

func ExampleNew() {
	pool, err := passenger.New(passenger.Config{
		MaxPoolSize:     6,
		MetricsInterval: 5 * time.Second, // the memory limits need it
		Logger:          passenger.LogTo(slog.Default()),
	})
	if err != nil {
		log.Fatal(err)
	}

	defer func() { _ = pool.Close() }()

	fmt.Println(pool.Inspect().CapacityUsed, "of", pool.Inspect().MaxPoolSize, "processes")
	// Output: 0 of 6 processes
}

func ExampleNew_faults() {
	_, err := passenger.New(passenger.Config{MaxPoolSize: -1})
	fmt.Println(err)
	// Output: MaxPoolSize: -1 is negative: it must be at least 1, or 0 for 6
}

func ExamplePool_Get() {
	pool, _ := played(spawnertest.Script{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "hello")
	})})
	defer func() { _ = pool.Close() }()

	session, err := pool.Get(context.Background(), shop())
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close(passenger.Discard)

	// Package handler does this for an http.Handler.
	conn, err := session.Connect(context.Background())
	if err != nil {
		log.Fatal(err)
	}

	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
	response, _ := io.ReadAll(conn)
	fmt.Printf("%s, %.15q\n", session.AppName(), response)
	// Output: shop, "HTTP/1.1 200 OK"
}

func ExamplePool_AsyncGet() {
	pool, factory := played(spawnertest.Script{})
	defer func() { _ = pool.Close() }()
	starts := factory.Hold("shop")

	got := make(chan string, 1)
	pool.AsyncGet(shop(), func(session *passenger.Session, err error) {
		if err != nil {
			got <- err.Error()
			return
		}

		got <- fmt.Sprint("process ", session.PID())
		session.Close(passenger.KeepAlive)
	})

	// Who does not want to wait any longer says so, and is never called.
	stop := pool.AsyncGet(shop(), func(*passenger.Session, error) { fmt.Println("called") })
	fmt.Println("withdrawn:", stop())

	starts.Release(nil)
	fmt.Println(<-got)
	// Output:
	// withdrawn: true
	// process 1000
}

func ExamplePool_Start() {
	pool, _ := played(spawnertest.Script{})
	defer func() { _ = pool.Close() }()

	options := shop()
	options.MinProcesses = 3
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := pool.Start(ctx, options); err != nil {
		log.Fatal(err)
	}

	fmt.Println(len(pool.Inspect().Group("shop").Processes), "processes before the first request")
	// Output: 3 processes before the first request
}

func ExamplePool_Restart() {
	pool, factory := played(spawnertest.Script{})
	defer func() { _ = pool.Close() }()
	if err := pool.Start(context.Background(), shop()); err != nil {
		log.Fatal(err)
	}

	// A release that does not start is resisted: the old processes keep serving.
	factory.Change(func(s *spawnertest.Script) {
		s.BeforeSpawn = func(context.Context, int, spawner.App) error { return errors.New("syntax error in app.rb") }
	})
	err := pool.Restart(context.Background(), "shop", passenger.RestartOptions{Method: passenger.RestartRolling})
	if resisted, ok := errors.AsType[*passenger.DeploymentError](err); ok {
		fmt.Println("the old processes keep serving:", resisted.Err)
	}

	fmt.Println("serving:", pool.Inspect().Group("shop").Processes[0].PID)
	// Output:
	// the old processes keep serving: cannot start shop: syntax error in app.rb (error 00000002)
	// serving: 1000
}

func ExamplePool_BeginRestart() {
	pool, _ := played(spawnertest.Script{})
	defer func() { _ = pool.Close() }()
	if err := pool.Start(context.Background(), shop()); err != nil {
		log.Fatal(err)
	}

	n, wait, err := pool.BeginRestart("shop", passenger.RestartOptions{})
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println("restarting:", n)

	// Whoever wants to know how it ended waits, now or later.
	fmt.Println(wait(context.Background()), pool.Inspect().Group("shop").Generation)
	// Output:
	// restarting: 1
	// <nil> 1
}

func ExamplePool_Disable() {
	pool, _ := played(spawnertest.Script{})
	defer func() { _ = pool.Close() }()
	if err := pool.StartN(context.Background(), shop(), 2); err != nil {
		log.Fatal(err)
	}

	first := pool.Inspect().Group("shop").Processes[0].GUPID
	if err := pool.Disable(context.Background(), first); err != nil {
		log.Fatal(err)
	}

	fmt.Println(pool.Inspect().Process(first).State)

	second := pool.Inspect().Group("shop").Processes[0].GUPID
	if err := pool.SetMaxPoolSize(2); err != nil {
		log.Fatal(err)
	}

	err := pool.Disable(context.Background(), second)
	fmt.Println(errors.Is(err, passenger.ErrCannotDisable), errors.Is(err, passenger.ErrPoolFull))
	// Output:
	// disabled
	// true true
}

func ExamplePool_Shutdown() {
	pool, factory := played(spawnertest.Script{})
	session, err := pool.Get(context.Background(), shop())
	if err != nil {
		log.Fatal(err)
	}

	// Sessions have ten seconds to end.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	go session.Close(passenger.Discard)
	fmt.Println(pool.Shutdown(ctx), factory.Live())
	// Output: <nil> 0
}

// starts is an observer that knows what began and did not end.
type starts struct {
	passenger.NoObserver
	going map[uint64]string
}

func (s *starts) SpawnBegan(e *passenger.SpawnEvent) { s.going[e.ID] = e.AppName }

func (s *starts) SpawnEnded(e *passenger.SpawnEvent) {
	fmt.Println("started a process of", s.going[e.ID], "with error", e.Err)
	delete(s.going, e.ID)
}

func ExampleObserver() {
	pool, err := passenger.New(passenger.Config{
		Spawner:  spawnertest.New(spawnertest.Script{}),
		Observer: &starts{going: map[uint64]string{}}, // one process is started, so that it needs no lock
	})
	if err != nil {
		log.Fatal(err)
	}

	defer func() { _ = pool.Close() }()
	_ = pool.Start(context.Background(), shop())
	// Output: started a process of shop with error <nil>
}
