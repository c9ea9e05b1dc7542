package goapp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/gopassenger/passenger/loaderproto"
)

const socketMode = 0o600

func servePassenger(ctx context.Context, stop func(), handler http.Handler) error {
	loader := loaderproto.NewLoader(os.Stdin, os.Stdout)
	options, err := loader.Handshake()
	if err != nil {
		return fmt.Errorf("cannot read what Passenger asks for: %w", err)
	}

	listener, address, err := listen(ctx, options)
	if err != nil {
		// If Passenger has gone, only the caller is left to receive err.
		_ = loader.Error(loaderproto.Message{Text: err.Error()})
		return err
	}

	// Without a limit of requests at once, as net/http has none.
	sockets := []loaderproto.Socket{{Name: "main", Address: address, Protocol: loaderproto.HTTPSession}}
	if password := options["connect_password"]; password != "" {
		direct, err := newDirectServer(password, handler)
		if err != nil {
			_ = listener.Close()
			_ = loader.Error(loaderproto.Message{Text: err.Error()})
			return err
		}
		defer direct.close()
		go direct.serve()
		sockets = append(sockets, direct.socket())
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stopTracing, features := offerBacktraces(options)
	defer stopTracing()
	if slices.Contains(options.Features(), loaderproto.FeatureHTTPClient) {
		features = append(features, loaderproto.FeatureHTTPClient)
		handler = &clientNamer{handler}
	}

	err = loader.Ready(&loaderproto.Ready{Sockets: sockets, PID: os.Getpid(), Features: features})
	if err != nil {
		_ = listener.Close()
		return fmt.Errorf("cannot tell Passenger that the application is ready: %w", err)
	}

	go func() {
		loader.AwaitEnd()
		cancel()
	}()

	return serve(ctx, stop, listener, handler)
}

// socketNameLength is that of the random part of a socket's name, and short since
// the paths of sockets have to be. maxTries is how many names may be taken.
const (
	socketNameLength = 10
	maxTries         = 10
)

// listen listens on a Unix socket with an unused name, or on a TCP port if there is no directory
// for sockets.
func listen(ctx context.Context, options loaderproto.Options) (net.Listener, loaderproto.Address, error) {
	var lc net.ListenConfig
	dir := options["socket_dir"]
	if dir == "" {
		listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, loaderproto.Address{}, fmt.Errorf("cannot listen on 127.0.0.1: %w", err)
		}

		return listener, loaderproto.Address{Network: "tcp", Addr: listener.Addr().String()}, nil
	}

	var path string
	var listener net.Listener

	err := error(syscall.EADDRINUSE)
	for tries := 0; tries < maxTries && errors.Is(err, syscall.EADDRINUSE); tries++ {
		path = filepath.Join(dir, "go."+rand.Text()[:socketNameLength])
		if limit, err := strconv.Atoi(options["UNIX_PATH_MAX"]); err == nil && len(path) >= limit {
			return nil, loaderproto.Address{},
				fmt.Errorf("cannot listen on %s: a Unix socket's path has to be shorter than "+
					"%d bytes; choose a shorter instance directory", path, limit)
		}

		listener, err = lc.Listen(ctx, "unix", path)
	}

	if err != nil {
		return nil, loaderproto.Address{}, fmt.Errorf("cannot listen in the directory for sockets: %w", err)
	}

	if err := os.Chmod(path, socketMode); err != nil {
		_ = listener.Close()
		return nil, loaderproto.Address{}, fmt.Errorf("cannot protect the socket: %w", err)
	}

	return listener, loaderproto.Address{Network: "unix", Addr: path}, nil
}
