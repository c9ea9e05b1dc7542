package handler

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each connection whose client has no address differs from the others, and its requests belong together: of a real Unix
// socket, or of a proxy that cannot name the client.
func TestConnectionsWithoutAddressesAreToldApart(t *testing.T) {
	for network, address := range map[string]string{"unix": filepath.Join(t.TempDir(), "s"), "tcp": "127.0.0.1:0"} {
		t.Run(network, func(t *testing.T) { toldApart(t, network, address) })
	}
}

func toldApart(t *testing.T, network, address string) {
	t.Helper()
	listener, err := net.Listen(network, address)
	require.NoError(t, err)

	h := &Handler{shares: &queueShares{limit: 1}}
	seen := make(chan any, 1)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if network == "tcp" {
			r.RemoteAddr = "unknown"
		}

		seen <- (&request{h: h, http: r}).sharedConnection()
	})
	server := &http.Server{Protocols: protocols, Handler: handler}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { require.NoError(t, server.Close()) })

	connection := func() (ask func() any) {
		transport := &http.Transport{
			Protocols: protocols,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, listener.Addr().String())
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
