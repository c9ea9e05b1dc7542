package handler

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each connection of a real Unix socket is told from the others, and its requests belong together.
func TestConnectionsOfAUnixSocketAreToldApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)

	h := &Handler{shares: &queueShares{limit: 1}}
	seen := make(chan any, 1)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Protocols: protocols, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen <- (&request{h: h, http: r}).sharedConnection()
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { require.NoError(t, server.Close()) })

	connection := func() (ask func() any) {
		transport := &http.Transport{
			Protocols: protocols,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", path)
			},
		}
		t.Cleanup(transport.CloseIdleConnections)

		return func() any {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/", http.NoBody)
			require.NoError(t, err)
			resp, err := transport.RoundTrip(r)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())

			return <-seen
		}
	}

	first, second := connection(), connection()
	conn := first()
	require.NotNil(t, conn)
	require.Same(t, conn, first())
	require.NotSame(t, conn, second())
}
