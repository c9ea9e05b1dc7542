// Package passenger runs web applications, written in Ruby, Python, Node.js, Go or any other
// language, in processes of their own, and routes each request to the best process. It starts
// processes when requests need them, keeps a minimum, replaces those that end or misbehave, and
// shares the capacity of the host among many applications.
//
// Most programs need a [Pool] and package handler, which is an http.Handler over it:
//
//	pool, err := passenger.New(passenger.Config{MaxPoolSize: 6})
//	if err != nil {
//		return err
//	}
//	defer pool.Close()
//
//	app, err := handler.New(pool, handler.Config{Options: passenger.Options{
//		App: spawner.App{Root: "/srv/shop"},
//	}})
//	if err != nil {
//		return err
//	}
//
//	return http.ListenAndServe("127.0.0.1:8080", app)
//
// The examples show the parts: [Pool.Get] for a single session, [Pool.Restart] for deploys,
// [Pool.Shutdown] for the end, and package spawner/spawnertest for tests without real processes.
//
// # How it works
//
// [Pool.Get] and [Pool.AsyncGet] return a [Session], the right to send one request to one process.
// A get finds its application by the name, root, user and environment in [Options]. It receives
// the least busy process that has room, or waits in the application's queue.
//
// The pool starts a process when a get waits, or when there are fewer than the minimum: one at a
// time for each application, while there is room. An application without a process takes the
// place of idle processes of others.
//
// A process is detached when it ends, does not respond, exceeds a limit, is replaced by a restart,
// or has been idle for long. A detached process gets no more sessions, and ends when its last one
// is closed. [Pool.Disable] takes a process out of use without ending it.
//
// [Pool.Inspect] returns the state of all this. Hooks (package hooks) and an [Observer] follow
// what happens. A process is named by its GUPID or PID, an application by its group name.
//
// All functions may be called concurrently. Callbacks, observers, hooks and loggers are called
// without any lock held. The package handles no signals, except that packages spawner and hooks
// keep ignored ones from programs; it keeps no global state and contacts no other host.
//
// # Notes
//
// Symptoms and their usual causes:
//
//   - A get fails with a *spawner.SpawnError: the application does not start. Its Report has the
//     step, the output and advice; [Pool.FailedSpawns] keeps the last ones, and the log has the
//     same error ID.
//   - The first get takes seconds: a process is started for it. [Options].MinProcesses keeps
//     processes from the first get on; [Pool.Start] starts them before.
//   - A get waits, or fails, and it is not clear why: [Pool.Explain] says what would become of the
//     next one, in sentences.
//   - A *[QueueFullError] or [ErrQueueTimeout]: requests arrive faster than the processes finish
//     them. Raise MaxPoolSize and MaxProcesses, or let a process take several requests at a time.
//     A get waits without a limit unless MaxRequestQueueTime is set.
//   - A get waits, and its application has no process: the pool is full of processes that other
//     applications use. [Snapshot].WaitingForCapacity names the applications that wait.
//   - A later get takes seconds as well: the processes ended after PoolIdleTime. Set MinProcesses.
//   - A process ends and another takes its place at once: it ended by itself ("a process ended by
//     itself" in the log), or MaxRequests, MaxRequestTime or a memory limit was reached.
//   - "detaching a process that does not respond": the process refused a connection, or did not
//     respond to MaxUnanswered requests in a row. A server that closes its listener while it runs
//     looks like that.
//   - Attempts to start a process become rarer, up to one a minute: spawns fail, or processes end
//     before their first request. A request for which no process is left is tried at once.
//   - A restart returns a *[DeploymentError], and the old release keeps serving: the new one does
//     not start. The next restart tries again.
//   - A restart or Shutdown takes long: requests do. DrainTimeout limits them in a restart, the
//     context in Shutdown. WebSockets need [Session.OnDetach] to notice the end.
//   - Memory limits have no effect: they need [Config].MetricsInterval.
//   - [ErrExhausted]: the program has no descriptors left. Raise its limit of open files.
//   - Shutdown waits until its context ends, and no request is left: a session was not closed.
package passenger
