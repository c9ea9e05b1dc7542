//go:build linux

package faults_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	h2 "golang.org/x/net/http2"
)

// A hundred requests at once on one connection, each of which gets its own
// response.
func TestHTTP2ConcurrentStreams(t *testing.T) {
	t.Parallel()
	s := start(t, unlimited...)
	c := s.client(t, http2)
	require.Equal(t, "HTTP/2.0", c.get(t, "/pid").Proto)
	sizes := []int{-1, 0, 1, 64 << 10, megabyte}
	errs := make(chan error, 100)

	var wg sync.WaitGroup
	for i := range cap(errs) {
		size, id := sizes[i%len(sizes)], fmt.Sprintf("stream%d", i)
		method, sent := http.MethodGet, ""
		var body io.Reader
		if size >= 0 {
			method, sent = http.MethodPost, strings.Repeat(string(rune('a'+i%26)), size)
			body = strings.NewReader(sent)
			if i%2 == 0 {
				body = io.MultiReader(body) // its type must not tell the length
			}
		}

		r := c.request(t.Context(), t, method, "/echo?"+id, body)
		wg.Go(func() {
			a, err := c.do(r)
			if err == nil && (a.StatusCode != http.StatusOK || a.ProtoMajor != 2 || a.Header.Get("X-Query") != id ||
				a.body != sent) {
				err = fmt.Errorf("%s of %d bytes: %s %s for %s, %d bytes", id, size, a.Proto, a.Status,
					a.Header.Get("X-Query"), len(a.body))
			}

			errs <- err
		})
	}

	wg.Wait()

	for range cap(errs) {
		require.NoError(t, <-errs)
	}

	s.requireBufferFiles(t, s.Tmp, 0)
}

// A stream that is reset gives its process back: in the queue, in an upload, in
// a request, in a response.
func TestHTTP2ResetStreams(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-pool-size", "1", "--request-buffering=false")
	c := s.client(t, http2)
	c.requireOK(t, "/pid")

	for i := range 10 {
		for _, path := range []string{"/hold?", "/begin?100000"} {
			ctx, cancel := context.WithCancel(t.Context())
			r := c.request(ctx, t, http.MethodGet, path, nil)
			if i%2 == 0 {
				r = c.request(ctx, t, http.MethodPost, path, &endless{ctx})
			}

			failed := make(chan error, 1)
			go func() {
				_, err := c.do(r)
				failed <- err
			}()
			_, query, _ := strings.Cut(path, "?")
			s.Await(t, "holding "+query+".", i+1)
			waiting, leave := context.WithCancel(t.Context())
			queued := c.background(waiting, t, "/serve?queued")
			leave() // first: it would be served as soon as the other is gone
			require.ErrorIs(t, (<-queued).err, context.Canceled)
			cancel()

			// The server resets the stream as well, and may be heard first.
			if err := <-failed; !errors.Is(err, context.Canceled) {
				require.ErrorContains(t, err, "received from peer")
			}

			require.Equal(t, "next", c.requireOK(t, "/serve?next"))
			s.Await(t, "left by "+query+".", i+1)
		}
	}
}

// endless is a body whose end is that of its context.
type endless struct{ ctx context.Context } // a reader has no other way to get it

func (e *endless) Read(p []byte) (int, error) {
	select {
	case <-e.ctx.Done():
		return 0, e.ctx.Err()
	default:
		return copy(p, bytes.Repeat([]byte("x"), 1000)), nil
	}
}

// A frame may be as long as each server has to allow, and not longer: net/http keeps a buffer for the largest frame of
// each connection, for as long as that lasts.
func TestFramesOfHTTP2AreSmall(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-pool-size", "1", "--http2-cleartext")
	s.client(t).requireOK(t, "/pid")

	const largest = 16 << 10

	for name, test := range map[string]struct {
		length int
		end    h2.ErrCode
	}{
		"the largest":       {largest, h2.ErrCodeNo},
		"one byte more":     {largest + 1, h2.ErrCodeFrameSize},
		"a length of 1 MiB": {1 << 20, h2.ErrCodeFrameSize},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			conn := s.dial(t, h2.ClientPreface+http2Frames(func(f *h2.Framer) error { return f.WriteSettings() }))

			// Of an unknown type, which a server ignores. The response to PING says that it has read it.
			const unknown = 0x42
			length := []byte{byte(test.length >> 16), byte(test.length >> 8), byte(test.length)}
			conn.say(string(length) + string(rune(unknown)) + "\x00\x00\x00\x00\x00")
			if test.end == h2.ErrCodeNo {
				conn.say(string(make([]byte, test.length)) + http2Frames(func(f *h2.Framer) error {
					return f.WritePing(false, [8]byte{1})
				}))
			}

			require.Equal(t, test.end, endOfFrames(t, conn))
		})
	}
}

// endOfFrames reads frames up to GOAWAY, whose code it returns, or to the response to PING, for which it returns
// ErrCodeNo.
func endOfFrames(t *testing.T, r io.Reader) h2.ErrCode {
	t.Helper()

	framer := h2.NewFramer(nil, r)
	for {
		frame, err := framer.ReadFrame()
		require.NoError(t, err)

		switch frame := frame.(type) {
		case *h2.SettingsFrame:
			if size, ok := frame.Value(h2.SettingMaxFrameSize); ok {
				require.Equal(t, uint32(16<<10), size)
			}
		case *h2.GoAwayFrame:
			return frame.ErrCode
		case *h2.PingFrame:
			require.True(t, frame.IsAck())
			return h2.ErrCodeNo
		}
	}
}
