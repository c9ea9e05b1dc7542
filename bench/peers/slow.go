package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const slowness = time.Second // for each byte

const (
	slowUpload = "POST /upload HTTP/1.1\r\nHost: app.example\r\nContent-Type: " +
		"application/octet-stream\r\nContent-Length: 1048576\r\n\r\n"
	slowDownload = "GET /1m HTTP/1.1\r\nHost: app.example\r\n\r\n"
)

// The kinds of slow clients.
const (
	slowBoth      = "both" // in turn
	slowUploads   = "uploads"
	slowDownloads = "downloads"
)

// slowCrowd are clients that send or receive a megabyte, a byte a second.
type slowCrowd struct {
	stop   context.CancelFunc
	wg     sync.WaitGroup
	begun  atomic.Int64 // downloads that have begun
	lost   atomic.Int64 // clients that could not connect, or were sent away
	reason atomic.Pointer[error]
}

// startSlow lets them come some at a time, the next when a download has begun:
// slow clients are one thing, and a rush is another. A server that lets
// downloads wait gets the rush too, after ten seconds.
func startSlow(ctx context.Context, addr, kind string, n int) (*slowCrowd, error) {
	outer := ctx
	ctx, stop := context.WithCancel(ctx)
	arriving, arrived := context.WithTimeout(ctx, 10*time.Second)
	defer arrived()
	crowd := &slowCrowd{stop: stop}
	var connected atomic.Int64
	err := someAtATime(ctx, n, func(i int) error {
		dialer := net.Dialer{Timeout: 3 * time.Second, Control: smallReceiveBuffer}
		conn, err := dialer.DialContext(ctx, "tcp", addr)
		if err != nil {
			return fmt.Errorf("client %d cannot connect: %w", i+1, err)
		}

		connected.Add(1)
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		begun, talk := make(chan struct{}), crowd.download
		if kind == slowUploads || kind == slowBoth && i%2 == 0 {
			talk = upload
		}

		crowd.wg.Go(func() {
			if err := talk(ctx, conn, begun); ctx.Err() == nil {
				crowd.lose(1, err)
			}
		})

		select {
		case <-begun:
		case <-arriving.Done():
		}

		return nil
	})
	if outer.Err() != nil {
		crowd.end()
		return nil, context.Cause(outer)
	}

	if err != nil { // those after it have not tried
		crowd.lose(int64(n)-connected.Load(), err)
	}

	return crowd, nil
}

func (c *slowCrowd) lose(clients int64, reason error) {
	c.lost.Add(clients)
	c.reason.CompareAndSwap(nil, &reason)
}

func (c *slowCrowd) end() {
	c.stop()
	c.wg.Wait()
}

func smallReceiveBuffer(_, _ string, raw syscall.RawConn) error {
	const size = 4096
	var err error
	controlled := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, size)
	})

	return errors.Join(controlled, err)
}

func upload(ctx context.Context, conn net.Conn, begun chan<- struct{}) error {
	_, err := io.WriteString(conn, slowUpload)
	close(begun)
	if err != nil {
		return err
	}

	for {
		if err := sleep(ctx, slowness); err != nil {
			return err
		}

		if _, err := conn.Write([]byte{'x'}); err != nil {
			return fmt.Errorf("an upload was cut: %w", err)
		}
	}
}

func (c *slowCrowd) download(ctx context.Context, conn net.Conn, begun chan<- struct{}) error {
	status := make([]byte, len("HTTP/1.1 200"))
	_, err := io.WriteString(conn, slowDownload)
	if err == nil {
		_, err = io.ReadFull(conn, status)
	}

	close(begun)
	if err != nil {
		return fmt.Errorf("a download got no response: %w", err)
	}

	if !strings.HasSuffix(string(status), " 200") {
		return fmt.Errorf("a download got %q", status)
	}

	c.begun.Add(1)

	for {
		if err := sleep(ctx, slowness); err != nil {
			return err
		}

		if _, err := conn.Read(status[:1]); err != nil {
			return fmt.Errorf("a download was cut: %w", err)
		}
	}
}
