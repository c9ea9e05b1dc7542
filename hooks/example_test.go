package hooks_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func ExampleOn() {
	told := make(chan hooks.Event, 1)
	alert := hooks.HookFunc(func(_ context.Context, e hooks.Event) error {
		told <- e
		return nil
	})

	pool, err := passenger.New(passenger.Config{
		Hooks:   []hooks.Hook{hooks.On(alert, hooks.SpawnFailed)},
		Spawner: spawnertest.New(spawnertest.Script{Failures: map[int]error{1: errors.New("no such gem")}}),
		Logger:  passenger.Silent(),
	})
	if err != nil {
		log.Fatal(err)
	}

	defer func() { _ = pool.Close() }()
	_ = pool.Start(context.Background(), &passenger.Options{App: spawner.App{Root: "/srv/shop", GroupName: "shop"}})

	e := <-told
	fmt.Println(e.Name, e.GroupName, e.ErrorMessage)
	// Output: spawn_failed shop no such gem
}
