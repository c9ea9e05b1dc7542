package handler_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// By the mean rate, who has sent 4.9 MB has hours for the rest of 5 MB.
func TestUploadThatStallsIsEndedWhateverItsMeanRate(t *testing.T) {
	const size, sent = 5 << 20, 4900 << 10
	for name, test := range map[string]struct {
		cfg  handler.Config
		head string
	}{
		"buffered": {handler.Config{}, fmt.Sprintf("Content-Length: %d\r\n\r\n%s", size,
			strings.Repeat("x", sent))},
		"buffered, chunks": {handler.Config{}, fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s", size,
			strings.Repeat("x", sent))},
		"small":        {handler.Config{}, "Content-Length: 1000\r\n\r\nhalf"},
		"no mean rate": {handler.Config{ClientGrace: -1}, "Content-Length: 1000\r\n\r\nhalf"},
		"streamed": {handler.Config{StreamRequests: true}, fmt.Sprintf("Content-Length: %d\r\n\r\n%s", size,
			strings.Repeat("x", sent))},
		"streamed, chunks": {handler.Config{StreamRequests: true}, "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"},
		"another limit": {
			handler.Config{ClientStallTimeout: 7 * time.Second},
			"Content-Length: 1000000\r\n\r\nhalf",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			test.cfg.DataBufferDir = dir
			limit := test.cfg.ClientStallTimeout
			if limit == 0 {
				limit = handler.DefaultClientStallTimeout
			}

			serveConfig(t, spawnertest.Script{Handler: http.HandlerFunc(drain)}, test.cfg, func(s *site) {
				c := s.dial()
				_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\n"+test.head)
				require.NoError(s, err)
				began := time.Now()
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				require.NoError(s, err)
				require.Equal(s, http.StatusRequestTimeout, resp.StatusCode)
				require.True(s, resp.Close)
				require.Equal(s, limit, time.Since(began))
				require.NoError(s, c.Close())
				synctest.Wait()
				require.Zero(s, s.sessions())
				requireEmptyDir(s, dir)
			})
		})
	}
}

// drain reads a request, and says so.
func drain(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = io.WriteString(w, "drained")
}

func TestReaderThatStallsIsEndedWhateverItsMeanRate(t *testing.T) {
	var taken atomic.Int64
	const size = 4 << 20
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, make([]byte, size), 0o644))

	sendfile := spawnertest.Script{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Sendfile", file)
	})}
	for name, test := range map[string]struct {
		script spawnertest.Script
		path   string
		cfg    handler.Config
	}{
		"kept":         {sized(&taken), fmt.Sprintf("/length?%d", size), handler.Config{}},
		"not kept":     {sized(&taken), fmt.Sprintf("/length?%d", size), handler.Config{MaxResponseBuffer: -1}},
		"no mean rate": {sized(&taken), fmt.Sprintf("/length?%d", size), handler.Config{MinClientRate: -1}},
		"another limit": {
			sized(&taken), fmt.Sprintf("/length?%d", size),
			handler.Config{ClientStallTimeout: 7 * time.Second},
		},
		"file": {
			sendfile, "/",
			handler.Config{Sendfile: handler.Sendfile{Roots: []string{filepath.Dir(file)}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			limit := test.cfg.ClientStallTimeout
			if limit == 0 {
				limit = handler.DefaultClientStallTimeout
			}

			serveConfig(t, test.script, test.cfg, func(s *site) {
				c, resp := s.slowReader(test.path)

				// A client that takes something now and then is served to the end.
				for range 5 {
					time.Sleep(limit / 2)
					_, err := io.CopyN(io.Discard, resp.Body, 64<<10)
					require.NoError(s, err)
				}

				time.Sleep(2 * limit)
				synctest.Wait()
				require.Empty(s, s.handler.Inspect().Requests)
				require.Zero(s, s.sessions())
				_, err := io.ReadAll(resp.Body)
				require.Error(s, err, "an incomplete response never looks complete")
				require.NoError(s, c.Close())
			})
		})
	}
}

// With HTTP/2 the end of each response waits for the client's window, so that a small one could stay for ever.
func TestSmallResponsesByHTTP2AreEndedWhereTheClientStalls(t *testing.T) {
	var taken atomic.Int64
	for name, test := range map[string]struct {
		method string
		size   int
	}{
		"small":       {http.MethodGet, 100},
		"buffered":    {http.MethodGet, 3 << 10}, // for its last piece
		"error":       {strings.Repeat("X", 40), 0},
		"large":       {http.MethodGet, 100 << 10},
		"large error": {"CONNECT-" + strings.Repeat("X", 40), 0},
	} {
		t.Run(name, func(t *testing.T) {
			var page []byte
			if name == "large error" {
				page = bytes.Repeat([]byte("x"), 100<<10)
			}

			serveConfig(t, sized(&taken), handler.Config{ErrorPage: page}, func(s *site) {
				c := s.dial()
				defer c.Close()
				require.NoError(s, c.SetDeadline(time.Now().Add(10*time.Minute)))

				go func() {
					_, _ = io.WriteString(c, http2.ClientPreface)
					framer := http2.NewFramer(c, nil)
					_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})

					var block bytes.Buffer

					encoder := hpack.NewEncoder(&block)
					for _, f := range [][2]string{
						{":method", test.method},
						{":scheme", "http"},
						{":authority", "x"},
						{":path", fmt.Sprintf("/length?%d", test.size)},
						{"accept", "text/html"},
					} {
						_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
					}

					_ = framer.WriteHeaders(http2.HeadersFrameParam{
						StreamID:      1,
						BlockFragment: block.Bytes(),
						EndStream:     true,
						EndHeaders:    true,
					})
				}()

				framer := http2.NewFramer(nil, c)
				for {
					frame, err := framer.ReadFrame()
					require.NoError(s, err)
					if _, ok := frame.(*http2.RSTStreamFrame); ok {
						break
					}
				}
			})
		})
	}
}

func TestStallsWithoutALimitGoByTheMeanRate(t *testing.T) {
	serveConfig(t, spawnertest.Script{Handler: http.HandlerFunc(drain)}, handler.Config{ClientStallTimeout: -1},
		func(s *site) {
			c := s.dial()
			_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n"+
				strings.Repeat("x", 199999))
			require.NoError(s, err)
			time.Sleep(10 * time.Minute)
			_, err = io.WriteString(c, "x")
			require.NoError(s, err)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			require.NoError(s, err)
			require.Equal(s, http.StatusOK, resp.StatusCode)
			require.NoError(s, c.Close())
		})
}

// Programs write the greatest value where they want no limit.
func TestGreatestLimitsOfTimeAndSizeAreNone(t *testing.T) {
	const greatest = time.Duration(math.MaxInt64)

	for name, cfg := range map[string]handler.Config{
		"grace":         {ClientGrace: greatest},
		"rate":          {MinClientRate: math.MaxInt64},
		"stall":         {ClientStallTimeout: greatest},
		"stall, alone":  {ClientGrace: -1, ClientStallTimeout: greatest},
		"grace, alone":  {ClientGrace: greatest, ClientStallTimeout: -1},
		"connecting":    {ConnectTimeout: greatest},
		"request's":     {MaxRequestBody: math.MaxInt64},
		"response's":    {MaxResponseBuffer: math.MaxInt64},
		"streamed":      {StreamRequests: true, ClientGrace: greatest, ClientStallTimeout: greatest},
		"response head": {MaxResponseHead: math.MaxInt},
		"heads": {Limits: handler.Limits{
			Target: math.MaxInt,
			Fields: math.MaxInt,
			Field:  math.MaxInt,
			Head:   math.MaxInt,
		}},
		"requests": {Options: passenger.Options{
			MaxRequestTime:      greatest,
			MaxRequestQueueTime: greatest,
			MaxRequests:         math.MaxInt,
			StatThrottleRate:    greatest,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			// In one write of several pieces, and in many.
			for _, size := range []int{100 << 10, 1 << 20} {
				echo := spawnertest.Script{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					_, _ = w.Write(body)
				})}
				serveConfig(t, echo, cfg, func(s *site) {
					body := strings.Repeat("x", size)
					resp, got := s.do(http.MethodPost, "/", body)
					require.Equal(s, http.StatusOK, resp.StatusCode)
					require.Equal(s, size, strings.Count(got, "x"))
				})
			}
		})
	}
}
