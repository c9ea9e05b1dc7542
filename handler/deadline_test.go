package handler_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
)

// The deadline that middleware gives a request counts while its body is read, too, whatever limits the client has.
func TestDeadlineOfTheContextEndsTheReadingOfABody(t *testing.T) {
	const limit = 3 * time.Second
	limited := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), limit)
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}

	whole := 0
	for name, head := range map[string]string{
		"small":  "Content-Length: 100\r\n\r\n",
		"large":  "Content-Length: 100000\r\n\r\n",
		"chunks": "Transfer-Encoding: chunked\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, cfg := range []handler.Config{
				{},
				{ClientGrace: passenger.Unlimited, ClientStallTimeout: passenger.Unlimited},
			} {
				serveBehind(t, wholeBodies(&whole), cfg, limited, func(s *site) {
					c := s.dial()
					defer c.Close()
					began := time.Now()
					go func() { _, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\n"+head+"5\r\nhello") }()
					resp, err := http.ReadResponse(bufio.NewReader(c), nil)
					require.NoError(s, err)
					require.Equal(s, http.StatusRequestTimeout, resp.StatusCode)
					require.Equal(s, limit, time.Since(began))
				})
			}
		})
	}

	require.Zero(t, whole)
}
