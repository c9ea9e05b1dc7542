//go:build linux

package faults_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/test/awaited"
	"github.com/gopassenger/passenger/internal/test/smalldisk"
)

// Clients that have sent 4.9 MB of 5.0 and stop have hours by their mean rate, and keep their disk for no longer than
// the time between two reads.
func TestStalledUploadsGiveTheirDiskBack(t *testing.T) {
	t.Parallel()
	dir := smalldisk.Mount(t, "size=512m") // of which a quarter is for buffers
	s := start(t, "--data-buffer-dir", dir, "--client-stall-timeout", "2")
	c := s.client(t)
	body := strings.Repeat("x", 4900<<10)
	began := time.Now()
	conns := s.dialMany(t, 10, func(i int) string {
		if i%2 == 0 {
			return fmt.Sprintf("POST /serve?stalled HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 5<<20, body)
		}

		return fmt.Sprintf("POST /serve?stalled HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s",
			5<<20, body)
	})

	others := startTraffic(t, c)
	for _, reply := range requireAll(t, conns) {
		require.Contains(t, reply, "HTTP/1.1 408 ")
	}

	require.GreaterOrEqual(t, time.Since(began), 2*time.Second)
	others.stop(t)
	s.requireBufferFiles(t, dir, 0)
	require.Empty(t, s.lines("served stalled."), "the application has seen one")
}

// Clients that do not read what they asked for, from the application or a file, are cut.
func TestStalledReadersAreCut(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-pool-size", "1", "--client-stall-timeout", "1")
	c := s.client(t)
	c.requireOK(t, "/pid")
	fds := s.countFDs(t)
	const size = 12 << 20 // more than the kernel keeps for a client

	// A slow disk makes them take turns at the one process, each until it is cut.
	conns := make([]*raw, 6)
	for i := range conns {
		conns[i] = s.dialWith(t, smallWindow)
		conns[i].say(fmt.Sprintf("GET /large?%d HTTP/1.1\r\nHost: x\r\n\r\n", size))
	}

	s.requireLetGo(t, conns)
	s.requireNoMoreFDs(t, fds)

	for _, reply := range requireAll(t, conns) {
		require.Less(t, len(reply), size)
	}

	s.requireBufferFiles(t, s.Tmp, 0)
}

// Clients that send request after request and read no response are cut, however small each of the responses is, also
// where all that remains to be written is what the server has buffered. So is a client of HTTP/2 whose window is
// closed, or which does not read from its connection.
func TestReadersOfSmallResponsesThatStallAreCut(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-pool-size", "1", "--client-stall-timeout", "1", "--keepalive-timeout", "1",
		"--http2-cleartext")
	c := s.client(t)
	c.requireOK(t, "/pid")
	fds := s.countFDs(t)

	var conns []*raw
	ends := make(chan error, 2)

	var clients sync.WaitGroup

	for _, request := range []string{
		"GET /pid HTTP/1.1\r\nHost: x\r\n\r\n",
		// One for net/http. With a smaller response, gigabytes would have to be sent until the kernel has enough.
		"GET /large?2000 HTTP/1.1\r\nHost: x\r\nX-Large: " + strings.Repeat("x", 20<<10) + "\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"BREW / HTTP/1.1\r\nHost: x\r\nUpgrade: x\r\n\r\n",
		h2.ClientPreface + windowedSettings(0) + http2Request("GET", "/pid"),
		h2.ClientPreface + windowedSettings(0) + http2Request(strings.Repeat("X", 40), "/pid"),
		h2.ClientPreface + windowedSettings(math.MaxInt32) + http2Window() + http2Request("GET", "/large?12582912"),
	} {
		conn := s.dialWith(t, smallWindow)

		if strings.HasPrefix(request, h2.ClientPreface+windowedSettings(0)) {
			conn.say(request)
			clients.Go(func() {
				_, err := io.Copy(io.Discard, conn) // frames may come, and data may not
				ends <- err
			})

			continue
		}

		conns = append(conns, conn)
		if strings.HasPrefix(request, h2.ClientPreface) {
			conn.say(request)
			continue
		}

		clients.Go(func() {
			for many := strings.Repeat(request, 50); ; {
				if _, err := io.WriteString(conn, many); err != nil {
					return // it was cut
				}
			}
		})
	}

	s.requireLetGo(t, conns)
	clients.Wait()

	for range cap(ends) {
		require.NoError(t, <-ends, "the connection lasts")
	}

	s.requireNoMoreFDs(t, fds)
}

// A client that reads all the time, and by far more than a piece in the time for one, is served, although the kernel
// may take nothing more to send for a long time meanwhile: it waits until a third of what it has is gone.
func TestSteadyReadersAreNotCutWhileTheKernelHasEnough(t *testing.T) {
	t.Parallel()
	const size = 12 << 20
	app := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(app, "public"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(app, "public", "file"), make([]byte, size), 0o600))

	s := start(t, "--max-pool-size", "1", "--client-stall-timeout", "2", "--static-files-dir",
		filepath.Join(app, "public"))
	s.client(t).requireOK(t, "/pid")

	var readers sync.WaitGroup
	for _, request := range []string{
		fmt.Sprintf("GET /large?%d HTTP/1.1\r\nHost: x\r\n\r\n", size),
		"GET /file HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /file HTTP/1.1\r\nHost: x\r\nX-Large: " + strings.Repeat("x", 20<<10) + "\r\n\r\n", // net/http's
		h2.ClientPreface + windowedSettings(math.MaxInt32) + http2Window() + http2Request("GET", "/file"),
	} {
		conn := s.dialWith(t, &net.Dialer{Control: limitedWindow})
		conn.say(request)
		readers.Go(func() { conn.readSteadily(200<<10, 8*time.Second) })
	}

	readers.Wait()
}

// Responses that are whole in the kernel, and whose clients do not read, are not kept for minutes when the connection
// ends. A client that reads gets all of its response, however long that takes.
func TestWhatNoClientTakesIsNotKept(t *testing.T) {
	t.Parallel()

	// A client tells the server of room only when its buffer, of 4 KiB here, has enough of it: once a second.
	const size = 32 << 10
	for name, options := range map[string][]string{"front": nil, "standard": {"--http-server", "standard"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := start(t, append([]string{
				"--max-pool-size", "1", "--client-stall-timeout", "2", "--keepalive-timeout", "1", "--http2-cleartext",
			}, options...)...)
			s.client(t).requireOK(t, "/pid")

			path := fmt.Sprintf("/large?%d", size)
			requests := []string{
				"GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n",
				"GET " + path + " HTTP/1.1\r\nHost: x\r\nX-Large: " + strings.Repeat("x", 20<<10) + "\r\n\r\n",
				"GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
				"GET " + path + " HTTP/1.0\r\nHost: x\r\n\r\n",
				h2.ClientPreface + windowedSettings(math.MaxInt32) + http2Request("GET", path),
			}

			conns := make([]*raw, len(requests))
			for i, request := range requests {
				conns[i] = s.dialWith(t, smallWindow)
				conns[i].say(request)
			}

			slow := s.dialWith(t, smallWindow)
			slow.say(fmt.Sprintf("GET /large?%d HTTP/1.1\r\nHost: x\r\n\r\n", size))
			// For longer than the server would wait for one that takes nothing.
			slow.readSteadily(size/8, 6*time.Second)
			rest, err := io.ReadAll(slow)
			require.NoError(t, err)
			require.Greater(t, len(rest)+size/8*6, size)

			s.requireLetGo(t, conns)
		})
	}
}

// limitedWindow keeps the kernel of a client from taking everything for it.
func limitedWindow(_, _ string, c syscall.RawConn) (err error) {
	controlErr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 32<<10)
	})

	return errors.Join(err, controlErr)
}

// readSteadily reads rate bytes a second.
func (c *raw) readSteadily(rate int, d time.Duration) {
	tick := time.NewTicker(time.Second / 20)
	defer tick.Stop()

	p := make([]byte, rate/20)
	for began := time.Now(); time.Since(began) < d; <-tick.C {
		if _, err := io.ReadFull(c, p); err != nil {
			c.t.Errorf("after %v: %v", time.Since(began), err)
			return
		}
	}
}

// http2Frames are frames of a client of HTTP/2.
func http2Frames(write func(*h2.Framer) error) string {
	var b bytes.Buffer
	if err := write(h2.NewFramer(&b, nil)); err != nil {
		panic(err) // a buffer takes everything
	}

	return b.String()
}

// windowedSettings sets the size of each stream's window.
func windowedSettings(bytes uint32) string {
	return http2Frames(func(f *h2.Framer) error {
		return f.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: bytes})
	})
}

// http2Window opens the connection's window as far as it goes.
func http2Window() string {
	return http2Frames(func(f *h2.Framer) error { return f.WriteWindowUpdate(0, math.MaxInt32-65535) })
}

func http2Request(method, target string) string {
	var block bytes.Buffer

	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{
		{":method", method},
		{":scheme", "http"},
		{":authority", "x"},
		{":path", target},
	} {
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}) // a buffer takes everything
	}

	return http2Frames(func(f *h2.Framer) error {
		return f.WriteHeaders(h2.HeadersFrameParam{
			StreamID:      1,
			BlockFragment: block.Bytes(),
			EndStream:     true,
			EndHeaders:    true,
		})
	})
}

// requireLetGo checks that the server, with its kernel, lets go of connections whose clients do not read. Such a client
// may not have seen it: the server says it once, and its window is full.
func (s *server) requireLetGo(t testing.TB, conns []*raw) {
	t.Helper()
	require.NoError(t, awaited.Within(deadline, func() error {
		ends := s.serverEnds(t)

		var open []string
		for i, conn := range conns {
			if end := ends[conn.LocalAddr().String()]; end != "" {
				open = append(open, fmt.Sprintf("connection %d: %s", i, end))
			}
		}

		if open != nil {
			return fmt.Errorf("the server has not let go of %q", open)
		}

		return nil
	}))
}

// serverEnds says of each client's address in what state the server's end of its connection is, and what the kernel has
// still to send on it.
func (s *server) serverEnds(t testing.TB) map[string]string {
	t.Helper()
	table, err := os.ReadFile(s.proc("net/tcp"))
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(s.addr)
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	own := fmt.Sprintf(":%04X", number)

	ends := map[string]string{}
	for row := range strings.Lines(string(table)) {
		f := strings.Fields(row)
		if !strings.HasSuffix(f[1], own) {
			continue
		}

		_, hex, _ := strings.Cut(f[2], ":")
		peer, err := strconv.ParseUint(hex, 16, 16)
		require.NoError(t, err)
		ends[fmt.Sprintf("127.0.0.1:%d", peer)] = fmt.Sprintf("state %s, queues %s", f[3], f[4])
	}

	return ends
}

// Of a budget that stalled uploads have filled, the largest make room for others.
func TestStalledUploadsMakeRoomWithinTheBudget(t *testing.T) {
	t.Parallel()
	dir := smalldisk.Mount(t, "size=64m")
	const budget = 8 << 20
	s := start(t, "--data-buffer-dir", dir, "--max-buffer-size", fmt.Sprint(budget), "--client-stall-timeout", "20")
	c := s.client(t)
	c.requireOK(t, "/pid")
	request := fmt.Sprintf("POST /serve?stalled HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 2<<20,
		strings.Repeat("x", 1<<20))

	conns := make([]*raw, 20)
	for i := range conns {
		conns[i] = s.dialWith(t, &net.Dialer{})
		_, _ = io.WriteString(conns[i], request) // those that are refused may fail
	}

	// status is that of a response that is there, or 0.
	status := func(c *raw) int {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second/10)))
		resp, err := http.ReadResponse(c.in, nil)
		if err != nil {
			return 0
		}

		require.NoError(t, resp.Body.Close())

		return resp.StatusCode
	}

	count := map[int]int{}
	for i, c := range conns {
		if got := status(c); got != 0 {
			count[got]++
			conns[i] = nil
		}
	}

	require.Positive(t, count[http.StatusInsufficientStorage], "20 MiB do not fit into 8: %v", count)
	require.NotEmpty(t, s.lines("max_buffer_size"))
	require.NotEmpty(t, c.requireOK(t, "/pid"), "what needs no room is served")

	// Those that have stalled for five seconds are dropped for others.
	require.NoError(t, awaited.Within(deadline, func() error {
		if a := c.post(t, "/sum", newGenerator(4*megabyte)); a.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", a.Status)
		}

		return nil
	}))

	for _, c := range conns {
		if c != nil {
			count[status(c)]++
			_ = c.Close()
		}
	}

	require.Positive(t, count[http.StatusRequestTimeout], "%v", count)
	require.Positive(t, count[0], "no more than needed: %v", count)
	s.requireBufferFiles(t, dir, 0)
}

// The same holds for a response that a client has not read for five seconds, when others need its room.
func TestStalledReadersMakeRoomWithinTheBudget(t *testing.T) {
	t.Parallel()
	const budget = 8 << 20
	s := start(t, "--max-buffer-size", fmt.Sprint(budget), "--client-stall-timeout", "60")
	c := s.client(t)
	c.requireOK(t, "/pid")

	stalled := s.dialWith(t, smallWindow)
	stalled.say(fmt.Sprintf("GET /large?%d HTTP/1.1\r\nHost: x\r\n\r\n", 11<<20))
	s.Stdout.Await(t, "cannot be buffered", 1, s.Ended) // it has all the room
	require.NoError(t, awaited.Within(deadline, func() error {
		if a := c.post(t, "/sum", newGenerator(6*megabyte)); a.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", a.Status)
		}

		return nil
	}))

	s.requireLetGo(t, []*raw{stalled})
	c.requireOK(t, "/pid")
}
