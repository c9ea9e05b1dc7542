package handler_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// forged are fields that only a proxy may set, as a client sends them.
var forged = []string{
	"X-Forwarded-For", "203.0.113.9", "X-Forwarded-Proto", "https", "X-Request-Id", "forged", "X-Forwarded-User",
	"root",
	"X-Forwarded-Host", "evil.example",
}

// RemoteAddr is what middleware makes of it: chi's RealIP puts an address without a port
// there, gorilla's ProxyHeaders whatever a header says.
func TestRemoteAddrThatIsNoSocketIsTrustedOnlyByTrustedProxies(t *testing.T) {
	cfg := handler.Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
		TrustedHeaders: []string{"x-forwarded-user"},
	}

	for remoteAddr, want := range map[string]struct {
		addr    string
		trusted bool
	}{
		"198.51.100.1":        {"198.51.100.1", false},
		"198.51.100.1:":       {"198.51.100.1", false},
		"198.51.100.1:http":   {"198.51.100.1", false},
		"2001:db9::1":         {"2001:db9::1", false},
		"[2001:db9::1]":       {"2001:db9::1", false},
		"[2001:db9::1]:80":    {"2001:db9::1", false},
		"10.1.2.3":            {"203.0.113.9", true},
		"10.1.2.3:4711":       {"203.0.113.9", true},
		"2001:db8::1":         {"203.0.113.9", true},
		"[2001:db8::1]":       {"203.0.113.9", true},
		"::ffff:10.1.2.3":     {"203.0.113.9", true},
		"":                    {"", false},
		"@":                   {"", false},
		"@abstract":           {"", false},
		"/run/client.sock":    {"", false},
		"unknown":             {"", false},
		"localhost":           {"", false},
		"localhost:80":        {"", false},
		":80":                 {"", false},
		"pipe":                {"", false},
		"10.1.2.3, 10.1.2.4":  {"", false},
		"10.1.2.3:80:90":      {"", false},
		"for=10.1.2.3":        {"", false},
		"10.1.2":              {"", false},
		"127.0.0.1":           {"127.0.0.1", false},
		"[127.0.0.1]:80":      {"127.0.0.1", false},
		"10.1.2.3\x00":        {"", false},
		"_hidden":             {"", false},
		" 10.1.2.3":           {"", false},
		"0x0a010203":          {"", false},
		"unix:/run/app.sock":  {"", false},
		"198.51.100.1%25eth0": {"", false},
	} {
		t.Run(remoteAddr, func(t *testing.T) {
			replaced := func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					r.RemoteAddr = remoteAddr
					next.ServeHTTP(w, r)
				})
			}
			var got sessionproto.Header
			serveBehind(t, recordingSession(&got), cfg, replaced, func(s *site) {
				resp, _ := s.do(http.MethodGet, "/", "", forged...)
				require.Equal(s, http.StatusOK, resp.StatusCode)
				require.Equal(s, want.addr, got["REMOTE_ADDR"])
				require.Equal(s, want.trusted, got["HTTPS"] == "on")
				require.Equal(s, want.trusted, got["HTTP_X_REQUEST_ID"] == "forged")
				require.Equal(s, want.trusted, got["HTTP_X_FORWARDED_USER"] == "root")
				require.NotContains(s, got, "HTTP_X_FORWARDED_HOST")
			})
			var raw string
			serveBehind(t, recordingHTTP(&raw), cfg, replaced, func(s *site) {
				s.do(http.MethodGet, "/", "", forged...)
				require.Equal(s, want.trusted, strings.Contains(raw, "\r\nX-Forwarded-Proto: https\r\n"), raw)
				require.Equal(s, want.addr != "", strings.Contains(raw, "X-Forwarded-For: "), "no address is made up")
				require.LessOrEqual(s, strings.Count(raw, "X-Forwarded-For: "), 1)
				require.Equal(s, want.trusted, strings.Contains(raw, "forged"))
			})
		})
	}
}

// However an address is written, it is the same client and the same proxy.
func TestFormsOfAnAddressAreOneClient(t *testing.T) {
	cfg := handler.Config{TrustedProxies: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("::1/128"),
	}}

	for _, row := range []struct {
		peer, said, want string
	}{
		{"[::ffff:198.51.100.1]:80", "", "198.51.100.1"},
		{"::ffff:c633:6401", "", "198.51.100.1"},
		{"[2001:DB8:0:0::1]:80", "", "2001:db8::1"},
		{"[fe81::1%lo]:80", "", "fe81::1%lo"},
		{"[::1]:80", "", "::1"},
		{"[::ffff:10.1.2.3]:80", "203.0.113.9", "203.0.113.9"},
		{"[fe80::1%lo]:80", "203.0.113.9", "203.0.113.9"},
		{"[::1]:80", "::FFFF:203.0.113.9", "203.0.113.9"},
		{"[::1]:80", "[2001:0DB8::0:1]:4711, 10.0.0.1, ::ffff:10.0.0.2", "2001:db8::1"},
		{"[2001:db8::2]:80", "203.0.113.9", "2001:db8::2"},
	} {
		replaced := func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.RemoteAddr = row.peer
				next.ServeHTTP(w, r)
			})
		}

		var header []string
		if row.said != "" {
			header = []string{"X-Forwarded-For", row.said}
		}

		var got sessionproto.Header
		serveBehind(t, recordingSession(&got), cfg, replaced, func(s *site) {
			resp, _ := s.do(http.MethodGet, "/", "", header...)
			require.Equal(s, http.StatusOK, resp.StatusCode)
			require.Equal(s, row.want, got["REMOTE_ADDR"], "%+v", row)
		})
	}
}

// The client of a request is the same by all protocols, behind any number of proxies.
func TestTheClientIsTheSameByAllProtocols(t *testing.T) {
	cfg := handler.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}

	for _, row := range []struct {
		peer, said string
		addr, port string
	}{
		{"198.51.100.1:4711", "", "198.51.100.1", "4711"},
		{"198.51.100.1:4711", "203.0.113.9", "198.51.100.1", "4711"},
		{"[2001:db8::1]:4711", "", "2001:db8::1", "4711"},
		{"10.0.0.1:80", "203.0.113.9", "203.0.113.9", "0"},
		{"10.0.0.1:80", "203.0.113.9:567", "203.0.113.9", "0"},
		{"10.0.0.1:80", "[::1]:5", "::1", "0"},
		{"10.0.0.1:80", "1.1.1.1, 203.0.113.9", "203.0.113.9", "0"},
		{"10.0.0.1:80", "203.0.113.9, 10.0.0.2", "203.0.113.9", "0"},
		{"10.0.0.1:80", "1.1.1.1, [2001:db8::1]:567, 10.0.0.2:80", "2001:db8::1", "0"},
		{"@", "203.0.113.9", "", "0"},
	} {
		replaced := func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.RemoteAddr = row.peer
				next.ServeHTTP(w, r)
			})
		}

		var header []string
		if row.said != "" {
			header = []string{"X-Forwarded-For", row.said}
		}

		var got sessionproto.Header
		serveBehind(t, recordingSession(&got), cfg, replaced, func(s *site) {
			s.do(http.MethodGet, "/", "", header...)
			require.Equal(s, []string{row.addr, row.port}, []string{got["REMOTE_ADDR"], got["REMOTE_PORT"]}, "%+v", row)
		})

		for _, agreed := range []bool{true, false} {
			var raw string
			script := recordingHTTP(&raw)
			script.NamesClient = agreed
			serveBehind(t, script, cfg, replaced, func(s *site) {
				s.do(http.MethodGet, "/", "", header...)
				_, said, found := strings.Cut(raw, "\r\n!~Passenger-Client: ")
				require.Equal(s, agreed && row.addr != "", found, raw)
				require.True(s, !found || said == row.addr+" "+row.port+"\r\n\r\n", "%+v\n%s", row, raw)
			})
		}
	}
}

// A request that no server has read is not trusted, also in a program that serves itself.
func TestRequestWithoutAServerIsNotTrusted(t *testing.T) {
	var got sessionproto.Header
	serve(t, recordingSession(&got), func(s *site) {
		r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "/", http.NoBody)
		require.NoError(s, err)
		r.Header.Set("X-Forwarded-Proto", "https")
		s.handler.ServeHTTP(httptest.NewRecorder(), r)
		require.Empty(s, got["REMOTE_ADDR"])
		require.NotContains(s, got, "HTTPS")
	})
}

func TestPeerOnAUnixSocketIsTrusted(t *testing.T) {
	var got sessionproto.Header
	factory := spawnertest.New(recordingSession(&got))
	pool, err := passenger.New(passenger.Config{Spawner: factory, SelfChecks: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, pool.Close()) }()
	var cfg handler.Config
	cfg.Options.App.Root = "/app"
	h, err := handler.New(pool, cfg)
	require.NoError(t, err)

	var client string // what RealIP would have made of it; empty means nothing
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client != "" {
			r.RemoteAddr = client
		}

		h.ServeHTTP(w, r)
	}))
	socket := filepath.Join(t.TempDir(), "s")
	server.Listener, err = net.Listen("unix", socket)
	require.NoError(t, err)
	server.Start()
	defer server.Close()

	named := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "c"), Net: "unix"}
	for name, from := range map[string]*net.UnixAddr{"unnamed": nil, "named": named} {
		ask := func() {
			c, err := net.DialUnix("unix", from, &net.UnixAddr{Name: socket, Net: "unix"})
			require.NoError(t, err)
			defer c.Close()
			_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: "+
				"203.0.113.9\r\nX-Forwarded-Proto: https\r\n\r\n")
			require.NoError(t, err)
			response, err := io.ReadAll(c)
			require.NoError(t, err)
			require.Contains(t, string(response), " 200 OK", name)
		}
		client = ""
		ask()
		require.Equal(t, "203.0.113.9", got["REMOTE_ADDR"], name)
		require.Equal(t, "on", got["HTTPS"], name)
		if from != nil {
			continue // its name is taken now
		}

		client = "198.51.100.1"
		ask()
		require.Equal(t, "198.51.100.1", got["REMOTE_ADDR"], "middleware says who the client is")
		require.NotContains(t, got, "HTTPS")
	}

	// The address of the server, and not that of the client, tells a Unix socket.
	for name, local := range map[string]net.Addr{"TCP": &net.TCPAddr{}, "something else": fakeUnix{}} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.RemoteAddr = "@"
		r.Header.Set("X-Forwarded-Proto", "https")
		h.ServeHTTP(httptest.NewRecorder(),
			r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local)))
		require.Empty(t, got["REMOTE_ADDR"], name)
		require.NotContains(t, got, "HTTPS", name)
	}
}

type fakeUnix struct{}

func (fakeUnix) Network() string { return "unix" }
func (fakeUnix) String() string  { return "@" }
