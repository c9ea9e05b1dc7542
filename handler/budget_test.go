package handler_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/pace"
	"github.com/gopassenger/passenger/internal/test/logged"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func budget(t require.TestingT, bytes int64) *handler.BufferBudget {
	b, err := handler.NewBufferBudget(bytes)
	require.NoError(t, err)
	return b
}

// begin sends a part of an upload of a size, and returns its connection.
func (s *site) begin(size, sent int) net.Conn {
	s.Helper()
	c := s.dial()
	_, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", size,
		strings.Repeat("x", sent))
	require.NoError(s, err)

	return c
}

// requireStatus reads a response from a connection, and closes it.
func (s *site) requireStatus(c net.Conn, status int) {
	s.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(s, err)
	require.Equal(s, status, resp.StatusCode)
	require.NoError(s, c.Close())
}

// Faults: H8.
func TestUploadsThatStallMakeRoomForOthers(t *testing.T) {
	dir := t.TempDir()
	var log logged.Buffer
	cfg := handler.Config{DataBufferDir: dir, Buffers: budget(t, 2<<20), Logger: log.Logger()}
	serveConfig(t, spawnertest.Script{Handler: http.HandlerFunc(drain)}, cfg, func(s *site) {
		small, large := s.begin(1<<20, 300<<10), s.begin(2<<20, 900<<10)
		synctest.Wait()

		// Both send still: there is no one to drop.
		resp, _ := s.do(http.MethodPost, "/", strings.Repeat("y", 1<<20))
		require.Equal(s, http.StatusInsufficientStorage, resp.StatusCode)
		require.Equal(s, 1, log.Count("max_buffer_size"), "the log says which limit it was")

		// What is left is for others.
		resp, _ = s.do(http.MethodPost, "/", strings.Repeat("y", 100<<10))
		require.Equal(s, http.StatusOK, resp.StatusCode)

		// The larger one is dropped, and the smaller one continues.
		time.Sleep(6 * time.Second)

		for range 3 {
			resp, _ = s.do(http.MethodPost, "/", strings.Repeat("y", 1<<20))
			require.Equal(s, http.StatusOK, resp.StatusCode)
		}

		s.requireStatus(large, http.StatusRequestTimeout)
		_, err := io.WriteString(small, strings.Repeat("x", 1<<20-300<<10))
		require.NoError(s, err)
		s.requireStatus(small, http.StatusOK)
		synctest.Wait()
		requireEmptyDir(s, dir)

		// Nothing of it is left in the books: all of the budget can be used.
		resp, _ = s.do(http.MethodPost, "/", strings.Repeat("y", 1700<<10))
		require.Equal(s, http.StatusOK, resp.StatusCode)
		resp, _ = s.do(http.MethodPost, "/", strings.Repeat("y", 2<<20))
		require.Equal(s, http.StatusInsufficientStorage, resp.StatusCode)
	})
}

func TestBudgetIsSharedByHandlersAndBoundsAllKindsOfBuffers(t *testing.T) {
	shared := budget(t, 1<<20)
	script := spawnertest.Script{Handler: http.HandlerFunc(drain)}
	serveConfig(t, script, handler.Config{Buffers: shared, DataBufferDir: t.TempDir()}, func(s *site) {
		other, err := handler.New(s.pool, s.cfg)
		require.NoError(s, err)

		// Small bodies, which are in memory only.
		conns := make([]net.Conn, 40)
		for i := range conns {
			conns[i] = s.begin(32<<10, 1)
		}

		synctest.Wait()
		s.front = other

		refused := 0
		for range 3 {
			if resp, _ := s.do(http.MethodPost, "/",
				strings.Repeat("y", 30<<10)); resp.StatusCode == http.StatusInsufficientStorage {
				refused++
			}
		}

		require.Positive(s, refused)
		resp, _ := s.do(http.MethodGet, "/", "")
		require.Equal(s, http.StatusOK, resp.StatusCode, "what needs no buffer is served")

		for _, c := range conns {
			require.NoError(s, c.Close())
		}

		synctest.Wait()
		resp, _ = s.do(http.MethodPost, "/", strings.Repeat("y", 500<<10))
		require.Equal(s, http.StatusOK, resp.StatusCode)
	})
}

func TestResponseBeyondTheBudgetWaitsForItsClient(t *testing.T) {
	const size = 4 << 20
	var taken atomic.Int64
	cfg := handler.Config{DataBufferDir: t.TempDir(), Buffers: budget(t, 1<<20)}
	serveConfig(t, sized(&taken), cfg, func(s *site) {
		for range 2 {
			taken.Store(0)
			c, resp := s.slowReader(fmt.Sprintf("/length?%d", size))
			synctest.Wait()
			require.Equal(s, 1, s.sessions(), "the process waits")
			require.Less(s, taken.Load(), int64(1200<<10), "no more is kept")
			body, err := io.ReadAll(resp.Body)
			require.NoError(s, err)
			requireSame(s, pattern(size), string(body))
			require.NoError(s, c.Close())
			synctest.Wait()
		}

		// A reader that stalls is dropped for one that does not.
		stalled, resp := s.slowReader(fmt.Sprintf("/length?%d", size))
		time.Sleep(6 * time.Second)
		upload, _ := s.do(http.MethodPost, "/length?1", strings.Repeat("y", 600<<10))
		require.Equal(s, http.StatusOK, upload.StatusCode)
		_, err := io.ReadAll(resp.Body)
		require.Error(s, err)
		require.NoError(s, stalled.Close())
	})
}

// A client that takes what the kernel has is none that stalls, however long one write lasts.
func TestSlowReaderThatIsSteadyIsNotDropped(t *testing.T) {
	const size, inKernel = 900 << 10, 1 << 20
	cfg := handler.Config{DataBufferDir: t.TempDir(), Buffers: budget(t, 1<<20)}
	serveConfig(t, sized(new(atomic.Int64)), cfg, func(s *site) {
		var left atomic.Int64
		left.Store(inKernel)
		s.front = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx := pace.WithUnsent(r.Context(), func() (int64, bool) { return left.Load(), true })
			s.handler.ServeHTTP(w, r.WithContext(ctx))
		})

		steady, resp := s.slowReader(fmt.Sprintf("/length?%d", size))
		defer steady.Close()

		upload := func() int {
			resp, _ := s.do(http.MethodPost, "/length?1", strings.Repeat("y", 600<<10))
			return resp.StatusCode
		}

		for range 20 {
			time.Sleep(time.Second)
			left.Add(-1 << 10)
			require.Equal(s, http.StatusInsufficientStorage, upload())
		}

		// Here it stops.
		time.Sleep(6 * time.Second)
		require.Equal(s, http.StatusOK, upload())
		_, err := io.ReadAll(resp.Body)
		require.Error(s, err)
	})
}

func TestBudgetThatIsOfNoUseIsRefused(t *testing.T) {
	for _, bytes := range []int64{-1, 1, handler.MinBufferBudget - 1} {
		b, err := handler.NewBufferBudget(bytes)
		require.Nil(t, b)
		require.ErrorContains(t, err, fmt.Sprintf("the budget for buffers is %d bytes: it must be at least 1048576",
			bytes))
	}

	require.NotNil(t, budget(t, 0), "the default")
}
