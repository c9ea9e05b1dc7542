package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
)

// socket is a listening socket that others can listen on as well.
type socket interface {
	net.Listener
	File() (*os.File, error)
}

// listen opens the configured address. Its errors say what to do.
func (c *Config) listen(ctx context.Context) (socket, error) {
	if c.SocketFile != "" {
		return listenUnix(ctx, c.SocketFile)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.hostPort())
	switch {
	case err == nil:
		return l.(*net.TCPListener), nil //nolint:forcetypeassert,errcheck // what "tcp" is
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the address %s is in use by another program: stop that one, or choose another port with --port", c.hostPort())
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("no permission to listen on %s: choose a port above 1023 with --port", c.hostPort())
	}
	return nil, fmt.Errorf("cannot listen on %s: %w: check --address and --port", c.hostPort(), err)
}

// listenUnix takes the place of a socket that nobody listens on any more, and
// of nothing else.
func listenUnix(ctx context.Context, path string) (socket, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("cannot use the socket file %s: %w", path, err)
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s exists and is not a socket: move it away, or choose another file with --socket", path)
	default:
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
		if err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("the socket file %s is in use by another program: stop that one, or choose another file with --socket", path)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("cannot use the socket file %s: %w", path, err)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("cannot remove the stale socket file %s: %w", path, err)
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen on the socket file %s: %w: check its directory", path, err)
	}
	// Closing must not remove the socket of a server that has replaced this
	// one meanwhile.
	l.SetUnlinkOnClose(false)
	made, err := os.Lstat(path)
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("cannot use the socket file %s: %w", path, err)
	}
	return &unixListener{UnixListener: l, path: path, made: made}, nil
}

type unixListener struct {
	*net.UnixListener
	path string
	made fs.FileInfo
}

// Close closes the socket and removes its file if it is still that one.
func (l *unixListener) Close() error {
	err := l.UnixListener.Close()
	if now, statErr := os.Lstat(l.path); statErr == nil && os.SameFile(now, l.made) {
		err = errors.Join(err, os.Remove(l.path))
	}
	return err
}

// url is how users reach the listener.
func (c *Config) url(l net.Listener) string {
	if c.SocketFile != "" {
		return "unix:" + c.SocketFile
	}
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return l.Addr().String()
	}
	if strings.Trim(c.Address, ":") == "" {
		host = "::"
	} else if c.Address == anyAddress {
		host = anyAddress
	}
	if port == "80" {
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		return "http://" + host + "/"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}
