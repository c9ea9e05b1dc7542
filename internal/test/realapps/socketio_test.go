package realapps_test

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

var sessionID = regexp.MustCompile(`"sid":"([^"]+)"`)

func TestSocketIO(t *testing.T) {
	t.Parallel()
	slow(t)
	node := interpreters.Find(t, "node", "node")
	modules := packages(t, "socketio", 18)
	w := newWorkshop(t)
	w.copySource(t, "socketio")
	w.linkPackages(t, modules)
	s := w.start(t, "--sticky-sessions", "--min-instances", "2", "--max-pool-size", "2")
	s.awaitProcesses(t, 2)

	s.get(t, "/", http.StatusOK, "Socket.IO chat")
	s.requireStatic(t, "/socket.io/socket.io.js", "javascript", "Socket.IO v4")
	s.requireStream(t, "/events", "data: first", "data: second")
	s.get(t, "/missing", http.StatusNotFound, "Cannot GET /missing")
	s.get(t, "/socket.io/?EIO=4&transport=polling&sid=unknown", http.StatusBadRequest, "Session ID unknown")

	// A session of its protocol, without a client of its own.
	const polling = "/socket.io/?EIO=4&transport=polling"
	opened := s.get(t, polling, http.StatusOK, `"sid"`)
	id := sessionID.FindStringSubmatch(opened.body)
	require.NotNil(t, id, opened.body)
	s.ask(t, http.MethodPost, polling+"&sid="+id[1], strings.NewReader("40")).require(t, http.StatusOK, "ok")

	// All that a client sends has to reach the process that has its session: another one
	// would not know it.
	const clients, messages = 6, "20"
	for transports, last := range map[string]string{
		"polling":           "polling",
		"websocket":         "websocket",
		"polling,websocket": "websocket",
	} {
		used := map[string]bool{}
		var mu sync.Mutex

		var chats sync.WaitGroup
		for range clients {
			chats.Go(func() {
				out, err := w.chat(t, node, s.base, transports, messages)
				mu.Lock()
				defer mu.Unlock()
				fields := strings.Fields(out)
				if err != nil || len(fields) != 2 || fields[1] != last {
					t.Errorf("%s: %v: %s", transports, err, out)
					return
				}

				used[fields[0]] = true
			})
		}

		chats.Wait()

		for pid := range used {
			n, err := strconv.Atoi(pid)
			require.NoError(t, err)
			require.Contains(t, s.pids(t), n)
		}
	}

	s.add(gotSocket)
	s.restartUnderLoad(t, "/", "Socket.IO chat")
	out, err := w.chat(t, node, s.base, "polling,websocket", messages)
	require.NoError(t, err, out)
}

// chat runs socket.io's own client.
func (w *workshop) chat(t testing.TB, node, url, transports, messages string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	cmd := w.command(ctx, node, "client.js", url, transports, messages)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()

	return string(out), err
}
