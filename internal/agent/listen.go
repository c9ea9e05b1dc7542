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

// listen opens the configured addresses. The sockets have the names that they are
// lent by. Its errors say what to do.
func (c *Config) listen(ctx context.Context) (sockets map[string]socket, err error) {
	sockets = map[string]socket{}
	name := httpFile
	if c.SSL && c.SSLPort == 0 {
		name = httpsFile
	}
	if c.SocketFile != "" {
		sockets[name], err = listenUnix(ctx, c.SocketFile)
	} else {
		sockets[name], err = c.listenTCP(ctx, c.Port, "--port")
	}
	if err != nil {
		return nil, err
	}
	if c.SSLPort != 0 {
		if sockets[httpsFile], err = c.listenTCP(ctx, c.SSLPort, "--ssl-port"); err != nil {
			return nil, errors.Join(err, sockets[name].Close())
		}
	}
	return sockets, nil
}

func (c *Config) listenTCP(ctx context.Context, port int, option string) (socket, error) {
	address := c.hostPort(port)
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return l.(*net.TCPListener), nil //nolint:forcetypeassert,errcheck // what "tcp" is
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the address %s is in use by another program: stop that one, or choose another port with %s", address, option)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("no permission to listen on %s: choose a port above 1023 with %s", address, option)
	}
	return nil, fmt.Errorf("cannot listen on %s: %w: check --address and %s", address, err, option)
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

// urls are how users reach the sockets.
func (c *Config) urls(sockets map[string]socket) (urls []string) {
	for _, scheme := range []string{httpFile, httpsFile} {
		if l := sockets[scheme]; l != nil {
			urls = append(urls, c.url(scheme, l))
		}
	}
	return urls
}

func (c *Config) url(scheme string, l net.Listener) string {
	if l.Addr().Network() == "unix" {
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
	if usual := map[string]string{httpFile: "80", httpsFile: "443"}; port != usual[scheme] {
		host = net.JoinHostPort(host, port)
	} else if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return scheme + "://" + host + "/"
}
