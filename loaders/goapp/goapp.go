// Package goapp makes a Go program an application that Passenger can run. The program serves an
// [http.Handler]:
//
//	func main() {
//		if err := goapp.Serve(http.HandlerFunc(hello)); err != nil {
//			log.Fatal(err)
//		}
//	}
//
// Passenger starts it by a start command, such as the name of the built program:
//
//	passenger start /srv/shop --start-command ./shop
//
// The program then listens on a Unix socket that only Passenger knows, and reports it by the spawn
// handshake (package loaderproto). When Passenger closes the program's stdin, it ends after its
// last request, a minute later at most.
//
// If Passenger gives it a connect password, the program also listens on a port of 127.0.0.1, for
// operators who want to reach this one process. Their requests carry the password in the header
// X-Passenger-Connect-Password, which the handler does not see. The end of the program does not
// wait for them.
//
// Started by hand, the same program is a plain HTTP server on 127.0.0.1 and the port in the
// environment variable PORT, or 3000. In both cases SIGTERM and SIGINT end it gracefully; a second
// one ends it at once.
package goapp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// headerTimeout limits the time for the head of a request. A core keeps connections open and sends
// each request at once, so it only affects a client that has stalled.
const headerTimeout = time.Minute

// stopTimeout limits the time for requests when the program ends. The server that asked for the end
// may be gone, and could not kill the program.
const stopTimeout = time.Minute

// Serve serves handler until the program is asked to end, and then returns nil. It serves requests
// concurrently, without a limit. A nil handler is an error.
//
// While Passenger runs the program, stdin and stdout belong to the handshake until Serve listens.
// Printing to stdout is allowed at any time, and goes to Passenger's log; reading from stdin is
// not.
//
// RemoteAddr of a request is the client's, also behind proxies that the server trusts.
func Serve(handler http.Handler) error {
	if handler == nil {
		return errors.New("there is nothing to serve: the handler is nil")
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if startedByPassenger() {
		return servePassenger(ctx, stop, handler)
	}

	return serveAlone(ctx, stop, handler)
}

func startedByPassenger() bool {
	if os.Getenv("IN_PASSENGER") != "1" {
		return false
	}

	// What an application starts inherits the variable, and not the socket.
	info, err := os.Stdin.Stat()

	return err == nil && info.Mode()&os.ModeSocket != 0
}

func serveAlone(ctx context.Context, stop func(), handler http.Handler) error {
	port := os.Getenv("PORT")
	if port == "" {
		port = "3000"
	}

	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("PORT is %q, which is no port: set it to a number from 0 (any free one) to 65535", port)
	}

	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return fmt.Errorf("cannot serve on port %s, set PORT to another: %w", port, err)
	}

	fmt.Fprintf(os.Stderr, "Serving on http://%s\n", listener.Addr())

	return serve(ctx, stop, listener, handler)
}

// serve serves until ctx is done, and then finishes the requests in progress. It first calls stop,
// which gives signals their usual meaning back.
func serve(ctx context.Context, stop func(), listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout}
	finished := make(chan error, 1)
	stopWaiting := context.AfterFunc(ctx, func() {
		stop()
		// ctx has ended, and the requests still have their time.
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		finished <- server.Shutdown(limited)
	})
	err := server.Serve(listener)
	if stopWaiting() || !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the server ended: %w", err)
	}

	return <-finished
}
