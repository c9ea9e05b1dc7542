package handler_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/sessionproto"
)

// The port that a client does not name is that of the scheme which its proxy names, not that of the proxy's own
// connection to us: an application that writes its links by SERVER_PORT would lead to https://example.com:80.
func TestServerPortIsThatOfTheClientsScheme(t *testing.T) {
	proxies := handler.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}

	for _, test := range []struct {
		name, fields, want string
		cfg                handler.Config
	}{
		{"TLS at the proxy", "Host: x\r\nX-Forwarded-Proto: https", "x 443 on", proxies},
		{"TLS at the proxy, IPv6", "Host: [::1]\r\nX-Forwarded-Proto: https", "::1 443 on", proxies},
		{"TLS at the proxy, and a port", "Host: x:8443\r\nX-Forwarded-Proto: https", "x 8443 on", proxies},
		{"an empty port", "Host: x:\r\nX-Forwarded-Proto: wss", "x 443 on", proxies},
		{"no TLS", "Host: x\r\nX-Forwarded-Proto: http", "x 80 ", proxies},
		{"a stranger", "Host: x\r\nX-Forwarded-Proto: https", "x 80 ", handler.Config{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got sessionproto.Header
			serveConfig(t, recordingSession(&got), test.cfg, func(s *site) {
				s.raw("GET / HTTP/1.1\r\nConnection: close\r\n" + test.fields + "\r\n\r\n")
				require.Equal(s, test.want, got["SERVER_NAME"]+" "+got["SERVER_PORT"]+" "+got["HTTPS"])
			})

			var head string
			serveConfig(t, recordingHTTP(&head), test.cfg, func(s *site) {
				s.raw("GET / HTTP/1.1\r\nConnection: close\r\n" + test.fields + "\r\n\r\n")
				require.Contains(s, head, "\r\nX-Forwarded-Port: "+strings.Fields(test.want)[1]+"\r\n")
			})
		})
	}
}

// What a proxy says of host or port counts together: the port of our own Host does not belong to another host.
func TestForwardedPortIsOneOfTheForwardedHost(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: app:3000\r\nConnection: close\r\n" +
		"X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example.com\r\n"

	cfg := handler.Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		TrustedHeaders: []string{"X-Forwarded-Host", "X-Forwarded-Port"},
	}
	port := regexp.MustCompile(`(?m)^X-Forwarded-Port: .*\r$`)

	var head string
	serveConfig(t, recordingHTTP(&head), cfg, func(s *site) {
		s.raw(request + "\r\n")
		require.Empty(s, port.FindAllString(head, -1))

		s.raw(request + "X-Forwarded-Port: 443\r\n\r\n")
		require.Equal(s, []string{"X-Forwarded-Port: 443\r"}, port.FindAllString(head, -1))

		s.env = handler.Env{"HTTP_X_FORWARDED_PORT": "444"}
		s.raw(request + "X-Forwarded-Port: 443\r\n\r\n")
		require.Equal(s, []string{"X-Forwarded-Port: 444\r"}, port.FindAllString(head, -1))
	})
}

// A request of HTTP/1.0 may have no Host: the server's own address takes its place, in a form that is one.
func TestRequestWithoutAHostIsForTheServersAddress(t *testing.T) {
	for _, test := range []struct {
		name      string
		local     net.Addr
		variables string
		host      string
	}{
		{"IPv4", &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 8080}, "192.0.2.1 8080", "192.0.2.1:8080"},
		{"IPv4, the usual port", &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}, "192.0.2.1 80", "192.0.2.1"},
		{"IPv6", &net.TCPAddr{IP: net.IPv6loopback, Port: 8080}, "::1 8080", "[::1]:8080"},
		{"IPv6, the usual port", &net.TCPAddr{IP: net.IPv6loopback, Port: 80}, "::1 80", "[::1]"},
		{"a zone", &net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 80, Zone: "eth0"}, "fe80::1 80", "[fe80::1]"},
		{"a Unix socket", &net.UnixAddr{Net: "unix", Name: "/run/a:1"}, "localhost 80", "localhost"},
		{"unknown", nil, "localhost 80", "localhost"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ask := func(s *site) {
				r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
				r.Host = ""
				ctx := context.WithValue(r.Context(), http.LocalAddrContextKey, test.local)
				s.handler.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
			}

			var got sessionproto.Header
			serve(t, recordingSession(&got), func(s *site) {
				ask(s)
				require.Equal(s, test.variables, got["SERVER_NAME"]+" "+got["SERVER_PORT"])
			})

			var head string
			serve(t, recordingHTTP(&head), func(s *site) {
				ask(s)
				require.Equal(s, test.host, hostLine.FindStringSubmatch(head)[1])
			})
		})
	}
}

var hostLine = regexp.MustCompile(`(?m)^Host: (.*)\r$`)
