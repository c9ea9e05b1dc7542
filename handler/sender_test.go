package handler_test

import (
	"bufio"
	"cmp"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// A program that embeds the handler serves it by net/http, which closes at once the connection of a client that says it
// ends, sends chunks or has expected 100, although that is still sending: a proxy in front makes a 502 of it.
//
// Faults: C10.
func TestClientThatStillSendsTakesTheResponse(t *testing.T) {
	const (
		kept    = "POST / HTTP/1.1\r\nHost: x\r\n"
		head    = kept + "Connection: close\r\n"
		chunked = "Transfer-Encoding: chunked\r\n"
	)

	deaf := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }
	whole := func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }

	for name, test := range map[string]struct {
		app    http.HandlerFunc
		cfg    handler.Config
		head   string
		body   string // empty means one byte
		status string
		waits  bool
	}{
		"too large": {
			app:    whole,
			cfg:    handler.Config{MaxRequestBody: 10},
			head:   head + "Content-Length: 1000000\r\n",
			status: "413",
			waits:  true,
		},
		"HTTP/1.0": {
			app:    whole,
			cfg:    handler.Config{MaxRequestBody: 10},
			head:   "POST / HTTP/1.0\r\nContent-Length: 1000000\r\n",
			status: "413",
			waits:  true,
		},
		"a method that is none": {
			app:    whole,
			head:   strings.Replace(head, "POST", "PING", 1) + "Content-Length: 1000000\r\n",
			status: "501",
			waits:  true,
		},
		"the application's": {
			app:    deaf,
			cfg:    handler.Config{StreamRequests: true},
			head:   head + "Content-Length: 1000000\r\n",
			status: "418",
			waits:  true,
		},
		"too large, in chunks": {
			app:    whole,
			cfg:    handler.Config{MaxRequestBody: 10},
			head:   kept + chunked,
			body:   "14\r\n" + strings.Repeat("x", 20) + "\r\n",
			status: "413",
			waits:  true,
		},
		"too large, in chunks, expected": {
			app:    whole,
			cfg:    handler.Config{MaxRequestBody: 10},
			head:   kept + chunked + "Expect: 100-continue\r\n",
			body:   "14\r\n" + strings.Repeat("x", 20) + "\r\n",
			status: "413",
			waits:  true,
		},
		"the application's, expected": {
			app:    deaf,
			cfg:    handler.Config{StreamRequests: true},
			head:   kept + "Expect: 100-continue\r\nContent-Length: 1000000\r\n",
			status: "418",
			waits:  true,
		},
		"all chunks have come": {app: whole, head: head + chunked, body: "1\r\nx\r\n0\r\n\r\n", status: "200"},
		"all of it has come":   {app: whole, head: head + "Content-Length: 1\r\n", status: "200"},
		"there is none":        {app: whole, head: head, status: "200"},
	} {
		t.Run(name, func(t *testing.T) {
			serveConfig(t, spawnertest.Script{Handler: test.app}, test.cfg, func(s *site) {
				c := s.dial()
				defer c.Close()

				go func() { _, _ = io.WriteString(c, test.head+"\r\n"+cmp.Or(test.body, "x")) }()

				from := bufio.NewReader(c)
				line, err := from.ReadString('\n')
				if strings.Contains(line, " 100 ") {
					_, _ = from.ReadString('\n')
					line, err = from.ReadString('\n')
				}

				require.NoError(s, err)
				require.Equal(s, test.status, line[9:12])

				began := time.Now()
				_, err = io.Copy(io.Discard, from)
				require.NoError(s, err)
				require.Equal(s, test.waits, time.Since(began) >= 400*time.Millisecond, time.Since(began))
			})
		})
	}
}
