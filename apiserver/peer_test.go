package apiserver_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/apiserver"
)

// A peer of a Unix socket whose credentials the kernel does not tell is not one of those on TCP that
// AllowAnyone is about.
func TestPeerWhoseCredentialsCannotBeReadIsUnknown(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	defer l.Close()
	c, err := net.Dial("unix", l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, c.Close()) // so that it has no descriptor to ask

	h := newHouse(t, func(c *apiserver.Config) { c.Accounts, c.AllowAnyone = nil, true })
	ask := func(r *http.Request) int {
		w := httptest.NewRecorder()
		h.server.ServeHTTP(w, r)
		return w.Code
	}
	r := httptest.NewRequest(http.MethodGet, "/pool.txt", http.NoBody)
	require.Equal(t, http.StatusOK, ask(r), "it is on TCP")
	r = r.WithContext(apiserver.ConnContext(r.Context(), c))
	peer, known := apiserver.PeerOf(r.Context())
	require.True(t, known)
	require.Equal(t, -1, peer.UID)
	require.Equal(t, http.StatusUnauthorized, ask(r))
}
