package metrics_test

import (
	"context"
	"fmt"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/metrics"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// A monitoring system that takes lines of name:value|type.
func ExampleApps() {
	pool, err := passenger.New(passenger.Config{Spawner: spawnertest.New(spawnertest.Script{})})
	if err != nil {
		panic(err)
	}
	defer pool.Close()

	options := passenger.Options{App: spawner.App{Root: "/srv/shop", GroupName: "shop"}}
	if err := pool.Start(context.Background(), &options); err != nil {
		panic(err)
	}

	var apps metrics.Apps
	s := pool.Inspect()

	for _, app := range apps.Sum(&s, nil) {
		for _, f := range metrics.AppFamilies() {
			if f.Label != "state" && f.Label != "outcome" {
				continue
			}

			f.Samples(app, func(label string, value float64) {
				if value > 0 {
					fmt.Printf("%s.%s.%s:%g|%c\n", f.Name, app.Name, label, value, f.Kind[0])
				}
			})
		}
	}

	// Output:
	// passenger_app_processes.shop.enabled:1|g
	// passenger_app_spawns_total.shop.success:1|c
}
