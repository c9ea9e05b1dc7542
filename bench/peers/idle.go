package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const idleRequest = "GET / HTTP/1.1\r\nHost: app.example\r\nUser-Agent: peers\r\nAccept: */*\r\n\r\n"

// idleConns are connections that have asked once.
type idleConns []net.Conn

// openIdle opens them, some at a time.
func openIdle(ctx context.Context, addr string, n int) (idleConns, error) {
	clients := make(idleConns, n)
	err := someAtATime(ctx, n, func(i int) error {
		conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return fmt.Errorf("client %d: %w", i+1, err)
		}

		clients[i] = conn
		if err := askIdle(conn); err != nil {
			return fmt.Errorf("client %d: %w", i+1, err)
		}

		return nil
	})

	return clients, err
}

func askIdle(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}

	if _, err := io.WriteString(conn, idleRequest); err != nil {
		return err
	}

	response, err := http.ReadResponse(bufio.NewReaderSize(conn, 1024), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()

	_, err = io.Copy(io.Discard, response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("the response is %s", response.Status)
	}

	return nil
}

// lost is how many cannot ask once more.
func (c idleConns) lost(ctx context.Context) int {
	var lost atomic.Int64
	_ = someAtATime(ctx, len(c), func(i int) error {
		if askIdle(c[i]) != nil {
			lost.Add(1)
		}

		return nil
	})

	return int(lost.Load())
}

func (c idleConns) close() {
	for _, conn := range c {
		if conn != nil {
			_ = conn.Close()
		}
	}
}

// someAtATime calls do for each number below n, until one fails, and returns
// the first failure that it finds.
func someAtATime(ctx context.Context, n int, do func(i int) error) error {
	const most = 32
	var next atomic.Int64
	var wg sync.WaitGroup

	failures := make([]error, min(most, n))
	for worker := range failures {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if failures[worker] = do(i); failures[worker] != nil {
					next.Store(int64(n))
				}
			}
		})
	}

	wg.Wait()

	for _, err := range append(failures, ctx.Err()) {
		if err != nil {
			return err
		}
	}

	return nil
}
