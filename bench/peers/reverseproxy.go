package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// serveReverseProxy is httputil.ReverseProxy as people write it, with what
// they find out later: a pool of connections that is large enough, buffers
// that are used again, and no compression of its own.
func serveReverseProxy(args []string) error {
	if len(args) < 2 {
		return errors.New("reverseproxy: give an address and the sockets of the application")
	}

	addr, sockets := args[0], args[1:]
	var turn atomic.Uint64
	names := make([]string, len(sockets))

	socketOf := map[string]string{}
	for i, socket := range sockets {
		names[i] = "app" + strconv.Itoa(i)
		socketOf[names[i]+":80"] = socket
	}

	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", names[turn.Add(1)%uint64(len(names))]
			r.SetXForwarded()
		},
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, host string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", socketOf[host])
			},
			MaxIdleConns:        1024,
			MaxIdleConnsPerHost: 1024,
			IdleConnTimeout:     time.Minute,
			DisableCompression:  true,
		},
		BufferPool: &buffers{},
	}

	return serveHTTP(addr, proxy)
}

type buffers struct{ pool sync.Pool }

func (p *buffers) Get() []byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return *b
	}

	return make([]byte, 32<<10)
}

func (p *buffers) Put(b []byte) { p.pool.Put(&b) }

// serveHTTP serves as passenger start does, with regard to time limits.
func serveHTTP(addr string, handler http.Handler) error {
	server := &http.Server{
		Addr:              addr,
		Handler:           handler,
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    64 << 10,
	}

	return server.ListenAndServe()
}
