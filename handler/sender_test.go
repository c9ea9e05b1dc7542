package handler_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// A program that embeds the handler serves it by net/http, which closes a connection that its client says to end at
// once, although that is still sending: a proxy in front makes a 502 of it.
//
// Faults: C10.
func TestClientThatStillSendsTakesTheResponse(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"

	deaf := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }
	whole := func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }

	for name, test := range map[string]struct {
		app    http.HandlerFunc
		cfg    handler.Config
		head   string
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
		"all of it has come": {app: whole, head: head + "Content-Length: 1\r\n", status: "200"},
		"there is none":      {app: whole, head: head, status: "200"},
	} {
		t.Run(name, func(t *testing.T) {
			serveConfig(t, spawnertest.Script{Handler: test.app}, test.cfg, func(s *site) {
				c := s.dial()
				defer c.Close()

				go func() { _, _ = io.WriteString(c, test.head+"\r\nx") }()

				response := make([]byte, 12)
				_, err := io.ReadFull(c, response)
				require.NoError(s, err)
				require.Equal(s, test.status, string(response[9:]))

				began := time.Now()
				_, err = io.Copy(io.Discard, c)
				require.NoError(s, err)
				require.Equal(s, test.waits, time.Since(began) >= 400*time.Millisecond, time.Since(began))
			})
		})
	}
}
