package spawner_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

// TestOriginalLoader: a loader with the habits of those that know protocol 1.0
// only runs unchanged.
func TestOriginalLoader(t *testing.T) {
	t.Parallel()
	s := newSite(t, app(t, "original"))
	long := strings.Repeat("0123456789abcdef", 64<<10)

	requests := 0
	for range 3 {
		for _, request := range []struct{ method, body, want string }{
			{http.MethodGet, "", "GET  "},
			{http.MethodPost, "body", "POST 4 body"},
			{http.MethodHead, "", ""},
			{http.MethodPut, long, "PUT 1048576 " + long},
		} {
			resp, body := s.ask(t, request.method, "/", strings.NewReader(request.body))
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.Equal(t, sum(request.want), sum(body))
			requests++
		}
	}

	require.EqualValues(t, requests, s.dials.Load(), "a connection for each request")

	for _, line := range []string{"booting", "options are here", "noise", "more noise", "!>not of the protocol"} {
		require.NotEmpty(t, s.log.lines(`"`+line+`"`), line)
	}
}

func TestOriginalLoaderIsShown(t *testing.T) {
	t.Parallel()
	p := newFixture(t).start(t, app(t, "original"))
	require.Len(t, p.Info().Sockets, 1)
	require.Len(t, p.Info().OtherSockets, 1)
	require.Equal(t, loaderproto.HTTP, p.Info().OtherSockets[0].Protocol)
	require.False(t, p.Info().Sockets[0].SessionKeepAlive)
	p.Stop(t.Context())
	require.Equal(t, "exit status 0", p.ExitStatus())
}

// The original's loader of Ruby finds its libraries by these options.
func TestOriginalLoaderIsToldWhereItsLibrariesAre(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := app(t, "http")
	options := stateOf(t, f.start(t, a)).Options
	require.Equal(t, filepath.Join(options["passenger_root"], "ruby"), options["ruby_libdir"])

	a.PassengerRoot, a.RubyLibDir = "/opt/passenger-5.0.30", "/opt/passenger-5.0.30/src/ruby_supportlib"
	options = stateOf(t, f.start(t, a)).Options
	require.Equal(t, a.PassengerRoot, options["passenger_root"])
	require.Equal(t, a.RubyLibDir, options["ruby_libdir"])
}
