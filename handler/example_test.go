package handler_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// exampleApp is the application of the examples, whose processes are played. Real ones
// need no more than passenger.New(passenger.Config{}) and the application's directory.
func exampleApp(serve http.HandlerFunc) (pool *passenger.Pool, options passenger.Options) {
	factory := spawnertest.New(spawnertest.Script{Handler: serve})
	pool, err := passenger.New(passenger.Config{Spawner: factory, Logger: passenger.Silent()})
	if err != nil {
		log.Fatal(err)
	}

	return pool, passenger.Options{App: spawner.App{Root: "/srv/shop", GroupName: "shop"}}
}

// ask sends a request to a handler and returns the response.
func ask(h http.Handler, target string) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))

	return w.Result()
}

func body(r *http.Response) string {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		log.Fatal(err)
	}

	return string(b)
}

func ExampleNew() {
	pool, options := exampleApp(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello from",
			r.URL.Path)
	})
	defer func() { _ = pool.Close() }()

	app, err := handler.New(pool, handler.Config{Options: options})
	if err != nil {
		log.Fatal(err)
	}

	fmt.Print(body(ask(app, "/cart")))
	// Output: hello from /cart
}

func ExampleNew_stripPrefix() {
	pool, options := exampleApp(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, r.URL.Path) })
	defer func() { _ = pool.Close() }()
	app, err := handler.New(pool, handler.Config{Options: options})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("/shop/", http.StripPrefix("/shop", app))
	fmt.Print(body(ask(mux, "/healthz")), body(ask(mux, "/shop/cart")))
	// Output:
	// ok
	// /cart
}

func ExampleNew_baseURI() {
	pool, options := exampleApp(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, r.URL.Path) })
	defer func() { _ = pool.Close() }()

	// An application that makes links has to know where it is mounted.
	options.App.BaseURI = "/shop"
	app, err := handler.New(pool, handler.Config{Options: options})
	if err != nil {
		log.Fatal(err)
	}

	fmt.Print(body(ask(app, "/shop/cart")))
	fmt.Println(ask(app, "/blog").Status)
	// Output:
	// /shop/cart
	// 404 Not Found
}

func ExampleNew_faults() {
	pool, options := exampleApp(nil)
	defer func() { _ = pool.Close() }()

	options.App.Root = "srv/shop"
	_, err := handler.New(pool, handler.Config{Options: options})
	fmt.Println(err)
	// Output: the app root "srv/shop" is not an absolute path: use filepath.Abs, or write it from the root on
}

func ExampleWithEnv() {
	pool, options := exampleApp(func(w http.ResponseWriter, r *http.Request) {
		// The loaders put it into the environment of Rack, WSGI and so on.
		fmt.Fprintln(w, "variables came:", r.Header.Get("!~Passenger-Envvars") != "")
	})
	defer func() { _ = pool.Close() }()
	app, err := handler.New(pool, handler.Config{Options: options})
	if err != nil {
		log.Fatal(err)
	}

	withUser := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := handler.WithEnv(r.Context(), handler.Env{"REMOTE_USER": "zoe"})
		app.ServeHTTP(w, r.WithContext(ctx))
	})
	fmt.Print(body(ask(withUser, "/")))
	// Output: variables came: true
}

func ExampleConfig_errorDetails() {
	factory := spawnertest.New(spawnertest.Script{Failures: map[int]error{1: fmt.Errorf("no such table: carts")}})
	pool, err := passenger.New(passenger.Config{Spawner: factory, Logger: passenger.Silent()})
	if err != nil {
		log.Fatal(err)
	}

	defer func() { _ = pool.Close() }()

	app, err := handler.New(pool, handler.Config{
		Options:      passenger.Options{App: spawner.App{Root: "/srv/shop"}},
		ErrorDetails: handler.DetailsAlways, // for those who may see paths and output
		Logger:       passenger.Silent(),
	})
	if err != nil {
		log.Fatal(err)
	}

	response := ask(app, "/")
	fmt.Println(response.Status, strings.Contains(body(response), "No such table: carts"))
	// Output: 500 Internal Server Error true
}

func ExampleStickySessions() {
	pool, options := exampleApp(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	defer func() { _ = pool.Close() }()

	app, err := handler.New(pool, handler.Config{
		Options:        options,
		StickySessions: handler.StickySessions{Enabled: true, CookieName: "_shop_route"},
	})
	if err != nil {
		log.Fatal(err)
	}

	for _, cookie := range ask(app, "/").Cookies() {
		fmt.Println(cookie.Name, cookie.SameSite == http.SameSiteLaxMode)
	}

	// Output: _shop_route true
}
