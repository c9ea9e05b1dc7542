package apiserver_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// A program may show its pool to those who know a password.
func ExampleNew() {
	pool, err := passenger.New(passenger.Config{Spawner: spawnertest.New(spawnertest.Script{})})
	if err != nil {
		log.Fatal(err)
	}

	defer func() { _ = pool.Close() }()
	_ = pool.Start(context.Background(), &passenger.Options{App: spawner.App{Root: "/srv/shop", GroupName: "shop"}})

	api, err := apiserver.New(apiserver.Config{
		Pool:     pool,
		Accounts: []apiserver.Account{{Name: "ops", Password: "of the example", Level: apiserver.ReadOnly}},
	})
	if err != nil {
		log.Fatal(err)
	}

	ask := func(password string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/pool.txt", nil)
		r.SetBasicAuth("ops", password)
		api.ServeHTTP(w, r)

		return w
	}
	fmt.Println(ask("a guess").Code)
	fmt.Println(strings.Contains(ask("of the example").Body.String(), "App root: /srv/shop"))
	// Output:
	// 401
	// true
}
