package goapp

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/gopassenger/passenger/loaderproto"
)

// maxBacktraces is the size of the backtraces of all goroutines that are sent.
const maxBacktraces = 128 << 10

// sendTimeout limits the time for reading them.
const sendTimeout = 2 * time.Second

// offerBacktraces listens on a Unix socket for Passenger, which connects to see what the goroutines
// are doing, if it offers to. It returns the features to agree to. stop ends it.
func offerBacktraces(options loaderproto.Options) (stop func(), features []string) {
	stop = func() {}
	if options["socket_dir"] == "" || !slices.Contains(options.Features(), loaderproto.FeatureBacktraceSocket) {
		return stop, nil
	}

	path := filepath.Join(options["socket_dir"], "backtraces")

	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return stop, nil // the program serves without
	}

	stop = func() { _ = listener.Close() }
	if err := os.Chmod(path, socketMode); err != nil {
		stop()
		return func() {}, nil
	}

	go showBacktraces(listener)

	return stop, []string{loaderproto.FeatureBacktraceSocket}
}

// showBacktraces serves one connection after the other.
func showBacktraces(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}

		buf := make([]byte, maxBacktraces)
		_ = conn.SetDeadline(time.Now().Add(sendTimeout))
		_, _ = conn.Write(buf[:runtime.Stack(buf, true)]) // the other side may have gone
		_ = conn.Close()
	}
}
