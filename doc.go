// Package passenger keeps processes of web applications, written in Ruby,
// Python, Node.js, Go or anything else, and gives each request to the best one:
// it starts them when they are needed, keeps as many as are wanted, notices
// when one dies, and shares what the host has among many applications.
//
// [Pool.Get] and [Pool.AsyncGet] yield a [Session], the right to send one
// request to one process. Package handler is an http.Handler over them, which
// is all that most programs use:
//
//	pool, err := passenger.New(passenger.Config{MaxPoolSize: 6})
//	...
//	app, err := handler.New(pool, handler.Config{Options: passenger.Options{
//		App: spawner.App{Root: "/srv/shop"},
//	}})
//	...
//	http.ListenAndServe("127.0.0.1:8080", app)
//
// The package handles no signals, keeps no globals and phones nobody.
//
// # How it works
//
// A get finds the application by its [Options], and in it the process that is least
// busy for its concurrency, or waits in the application's queue. A process is started
// when somebody waits or there are fewer than the minimum, one at a time for each
// application, while the pool has room; idle processes of others give way to an
// application that has none. A process is detached when it dies, does not answer,
// exceeds a limit, is replaced by a restart or has been idle for long: it gets no more
// sessions, and ends when its last one does. Processes may be disabled, by
// [Pool.Disable] or for out-of-band work of their own.
//
// [Pool.Inspect] shows it all. Hooks (package hooks) and an [Observer] are told of what
// happens. Processes are named by their GUPID or pid, applications by their group name.
//
// All functions may be called concurrently. Callbacks, observers, hooks and loggers are
// called without any lock held.
package passenger
