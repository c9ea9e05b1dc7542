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
// # The life of a request
//
// handler takes it from net/http and calls Pool.Get (pool.go), which finds the
// application's group and in it the best process (group_route.go), or lets the
// request wait (group_queue.go, waiter.go). A process with room opens a session
// (process.go, session.go) with one of its connections (socket.go). The handler
// sends the request and reads the answer (package handler), and closes the
// session, which goes to whoever waits next.
//
// # The life of a process
//
// A group that has someone waiting, or fewer processes than its minimum, claims
// one (group_spawn.go). When the pool has room, or an idle process gives way
// (pool_capacity.go), an attempt (spawn.go) runs a spawner without the lock
// (package spawner, which starts a loader of package loaders and talks to it by
// package loaderproto). Its process is attached (group.go), serves, and is
// detached (group_detach.go) when it dies, does not answer, exceeds a limit
// (session_limit.go, pool_metrics.go), is replaced (group_restart.go,
// restart_files.go), or has been idle for long (pool_gc.go); then it ends when
// its last session does. In between it may be disabled (group_disable.go), for
// its out-of-band work (group_oobw.go) or by somebody (pool_admin.go). Hooks are
// told (pool_hooks.go), and an observer (observer.go, pool_observe.go), and
// pool_inspect.go shows it all.
//
// # Locks
//
// Pool.mu guards all of it. Whatever changes something does so in Pool.update
// (effects.go), and what could block, callbacks included, happens after
// unlocking. verify.go says what is always true.
package passenger
