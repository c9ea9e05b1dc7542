package handler_test

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// recordingHTTP keeps what it got, byte for byte, up to the end of the head.
func recordingHTTP(got *string) spawnertest.Script {
	return spawnertest.Script{ServeConn: func(_ *spawnertest.Process, c net.Conn) {
		br := bufio.NewReader(c)

		var head strings.Builder
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}

			head.WriteString(line)
			if line == "\r\n" {
				break
			}
		}

		*got = head.String()
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}}
}

func recordingSession(got *sessionproto.Header) spawnertest.Script {
	return sessionApp(true, func(h sessionproto.Header, b io.Reader, c net.Conn) bool {
		*got = maps.Clone(h)
		return echoSession(h, b, c)
	})
}

const oddRequest = "GET /p%20q/r?x=1&y=2 HTTP/1.1\r\nHost: example.com:8080\r\n" +
	"User-Agent: test\r\nCookie: a=b\r\nCookie: c=d\r\nX-Twice: 1\r\nX-Twice: 2\r\n" +
	"X_User: forged\r\nX.Dot: odd\r\nProxy: http://evil\r\n" +
	"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n" +
	"Connection: close, X-Listed\r\nX-Listed: 1\r\nKeep-Alive: 1\r\nTE: trailers\r\nUpgrade: " +
	"h2c\r\nHTTP2-Settings: x\r\n" +
	"Content-Type: text/plain\r\n\r\n"

// markLines are what marks each request.
var markLines = regexp.MustCompile(`\r\n(X-Request-Id: [0-9a-f]{32}|X-Request-Start: t=\d{15,16})\b`)

func TestHeadOfAnHTTPRequest(t *testing.T) {
	var got string
	serve(t, recordingHTTP(&got), func(s *site) {
		require.Contains(s, s.raw(oddRequest), " 200 OK")
		first, rest, _ := strings.Cut(strings.TrimSuffix(got, "\r\n\r\n"), "\r\n")
		marks := markLines.FindAllString(rest, -1)
		require.Len(s, marks, 2)
		rest = markLines.ReplaceAllString(rest, "")
		require.Equal(s, "GET /p%20q/r?x=1&y=2 HTTP/1.1", first)
		require.ElementsMatch(s, []string{
			"Host: example.com:8080", "User-Agent: test", "Cookie: a=b", "Cookie: c=d", "X-Twice: 1", "X-Twice: 2",
			"Content-Type: text/plain", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: http",
			"X-Forwarded-Port: 8080",
		}, strings.Split(rest, "\r\n"))
	})
}

func TestHeadOfASessionRequest(t *testing.T) {
	var got sessionproto.Header
	serve(t, recordingSession(&got), func(s *site) {
		require.Contains(s, s.raw(oddRequest), " 200 OK")
		require.Contains(s, got["SERVER_SOFTWARE"], "gopassenger/")
		require.Regexp(s, `^[0-9a-f]{32}$`, got["HTTP_X_REQUEST_ID"])
		require.Regexp(s, `^t=\d{15,16}$`, got["HTTP_X_REQUEST_START"])

		for _, name := range []string{"SERVER_SOFTWARE", "HTTP_X_REQUEST_ID", "HTTP_X_REQUEST_START"} {
			delete(got, name)
		}

		require.Equal(s, sessionproto.Header{
			"REQUEST_URI": "/p%20q/r?x=1&y=2", "PATH_INFO": "/p%20q/r", "SCRIPT_NAME": "", "QUERY_STRING": "x=1&y=2",
			"REQUEST_METHOD": "GET", "SERVER_NAME": "example.com", "SERVER_PORT": "8080", "SERVER_PROTOCOL": "HTTP/1.1",
			"REMOTE_ADDR": "192.0.2.7", "REMOTE_PORT": "4711", "CONTENT_TYPE": "text/plain",
			"HTTP_HOST": "example.com:8080", "HTTP_USER_AGENT": "test", "HTTP_COOKIE": "a=b; c=d",
			"HTTP_X_TWICE": "1, 2",
		}, got)
	})
}

func TestTrustedProxiesSpeakForTheClient(t *testing.T) {
	var got string
	cfg := handler.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	serveConfig(t, recordingHTTP(&got), cfg, func(s *site) {
		require.Contains(s, s.raw(oddRequest), " 200 OK")
		require.Contains(s, got, "\r\nX-Forwarded-For: 1.2.3.4, 192.0.2.7\r\n")
		require.Contains(s, got, "\r\nX-Forwarded-Proto: https\r\n")
		require.NotContains(s, got, "X-Real-Ip")
	})
	var session sessionproto.Header
	serveConfig(t, recordingSession(&session), cfg, func(s *site) {
		require.Contains(s, s.raw(oddRequest), " 200 OK")
		require.Equal(s, "on", session["HTTPS"])
	})
}

func TestServerNameAndPort(t *testing.T) {
	var got sessionproto.Header
	serve(t, recordingSession(&got), func(s *site) {
		for host, want := range map[string]string{
			"example.com":    "example.com 80",
			"example.com:81": "example.com 81",
			"[::1]:81":       "::1 81",
			"[::1]":          "::1 80",
			"":               "127.0.0.1 80",
		} {
			s.raw("GET / HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")
			require.Equal(s, want, got["SERVER_NAME"]+" "+got["SERVER_PORT"], host)
		}
	})
}

// The port that a client has not written is that of its scheme, also where a proxy in front has ended TLS. Applications
// make URLs of both, as https://example.com:80/.
func TestServerPortIsThatOfTheScheme(t *testing.T) {
	var got sessionproto.Header
	cfg := handler.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	serveConfig(t, recordingSession(&got), cfg, func(s *site) {
		for fields, want := range map[string]string{
			"Host: example.com\r\nX-Forwarded-Proto: https":      "on 443",
			"Host: example.com\r\nX-Forwarded-Proto: http":       " 80",
			"Host: example.com:8443\r\nX-Forwarded-Proto: https": "on 8443",
			"Host: [2001:db8::1]\r\nX-Forwarded-Proto: https":    "on 443",
		} {
			s.raw("GET / HTTP/1.1\r\n" + fields + "\r\nConnection: close\r\n\r\n")
			require.Equal(s, want, got["HTTPS"]+" "+got["SERVER_PORT"], fields)
		}
	})
}

func TestRequestsThatAreNotForwarded(t *testing.T) {
	for name, c := range map[string]struct {
		request string
		status  string
	}{
		"own header":       {"GET / HTTP/1.1\r\nHost: x\r\n!~Passenger-Envvars: x\r\n\r\n", "400"},
		"own header, bare": {"GET / HTTP/1.1\r\nHost: x\r\n!~: secret\r\n\r\n", "400"},

		"connect":          {"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", "501"},
		"ping":             {"PING / HTTP/1.1\r\nHost: x\r\n\r\n", "501"},
		"ping of Python":   {"ping / HTTP/1.1\r\nHost: x\r\n\r\n", "501"},
		"out-of-band work": {"OOBW / HTTP/1.1\r\nHost: x\r\n\r\n", "501"},

		"upgrade with a body": {"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: " +
			"websocket\r\nContent-Length: 1\r\n\r\nx", "400"},
		"upgrade of a HEAD": {
			"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
			"400",
		},

		"broken chunk": {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
		"unknown coding": {
			"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
			"501",
		},
		"header over the size": {"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 200<<10) + "\r\n\r\n", "431"},
	} {
		t.Run(name, func(t *testing.T) {
			var got sessionproto.Header
			serve(t, recordingSession(&got), func(s *site) {
				request := strings.Replace(c.request, "\r\nHost: x\r\n", "\r\nHost: x\r\nConnection: close\r\n", 1)
				response := s.raw(request)

				require.Regexp(s, `\AHTTP/1\.1 `+c.status+" ", response)
				require.Nil(s, got)
			})
		})
	}
}

func TestTargets(t *testing.T) {
	for target, want := range map[string]string{
		"/":                      "/",
		"//double//slash":        "//double//slash",
		"/a/../b":                "/a/../b",
		"/%00?":                  "/%00?",
		"http://example.com/a?b": "/a?b",
		"http://example.com":     "/",
		"http://example.com?q":   "/?q",
		"/x?next=http://other/y": "/x?next=http://other/y",
	} {
		t.Run(target, func(t *testing.T) {
			var got string
			serve(t, recordingHTTP(&got), func(s *site) {
				s.raw("GET " + target + " HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
				first, _, _ := strings.Cut(got, "\r\n")
				require.Equal(s, "GET "+want+" HTTP/1.1", first)
			})
		})
	}
}

func TestHeaderOfAResponse(t *testing.T) {
	app := replying("HTTP/1.1 201 Made\r\nContent-Length: 2\r\nContent-Type: text/x\r\nSet-Cookie: " +
		"a=1\r\nSet-Cookie: b=2\r\n" +
		"!~Request-OOB-Work: true\r\nStatus: 500 No\r\nConnection: close, X-Listed\r\nX-Listed: 1\r\nKeep-Alive: " +
		"1\r\nTrailer: X\r\n" +
		"Upgrade: h2c\r\nProxy-Authenticate: x\r\nx-lower: v\r\n\r\nok")
	serve(t, app, func(s *site) {
		resp, body := s.do(http.MethodGet, "/", "")
		require.Equal(s, "ok", body)
		require.Equal(s, "201 Created", resp.Status)
		resp.Header.Del("Date")
		require.Equal(s, http.Header{
			"Content-Length": {"2"}, "Content-Type": {"text/x"}, "Set-Cookie": {"a=1", "b=2"}, "X-Lower": {"v"},
			"Status": {"201 Created"}, "X-Powered-By": {passenger.ServerSoftware},
		}, resp.Header)
	})
	serve(t, replying("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html></html>  "), func(s *site) {
		resp, _ := s.do(http.MethodGet, "/", "")
		require.NotContains(s, resp.Header, "Content-Type", "there is no guessing")
	})
}

// Faults: R-39.
func TestClientAddressIsTakenFromTrustedPeersOnly(t *testing.T) {
	for trusted, rows := range map[string]map[string]string{
		"192.0.2.0/24": { // the peer is one of them
			"":                                    "192.0.2.7",
			"1.2.3.4":                             "1.2.3.4",
			"6.6.6.6, 1.2.3.4":                    "1.2.3.4", // the first is what the client said
			"1.2.3.4, 192.0.2.9":                  "1.2.3.4",
			"192.0.2.8, 192.0.2.9":                "192.0.2.8",
			"1.2.3.4\r\nX-Forwarded-For: 5.6.7.8": "5.6.7.8",
			"2001:db8::1":                         "2001:db8::1",
			"1.2.3.4:5678":                        "1.2.3.4",
			"unknown":                             "192.0.2.7",
			"1.2.3.4, unknown":                    "192.0.2.7",
			",":                                   "192.0.2.7",
		},
		"10.0.0.0/8": {"1.2.3.4": "192.0.2.7"},
	} {
		cfg := handler.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix(trusted)}}
		var got sessionproto.Header
		serveConfig(t, recordingSession(&got), cfg, func(s *site) {
			for said, want := range rows {
				header := ""
				if said != "" {
					header = "X-Forwarded-For: " + said + "\r\n"
				}

				require.Contains(s, s.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+header+"\r\n"),
					" 200 OK")
				require.Equal(s, want, got["REMOTE_ADDR"], said)
				require.Equal(s, want == "192.0.2.7", got["REMOTE_PORT"] == "4711", said)
			}
		})
	}
}

// Empty elements are none, on one line or on several (RFC 9110 section 5.6.1).
func TestListsOfProxiesHaveNoEmptyElements(t *testing.T) {
	rows := []struct {
		said                string // lines, with a semicolon between
		addr, session, http string
	}{
		{said: "", addr: "192.0.2.7", http: "192.0.2.7"},
		{said: ",", addr: "192.0.2.7", http: "192.0.2.7"},
		{said: ";", addr: "192.0.2.7", http: "192.0.2.7"},
		{said: " , \t,;,", addr: "192.0.2.7", http: "192.0.2.7"},
		{said: "1.2.3.4,", addr: "1.2.3.4", session: "1.2.3.4", http: "1.2.3.4, 192.0.2.7"},
		{said: ",1.2.3.4", addr: "1.2.3.4", session: "1.2.3.4", http: "1.2.3.4, 192.0.2.7"},
		{said: ";1.2.3.4;", addr: "1.2.3.4", session: "1.2.3.4", http: "1.2.3.4, 192.0.2.7"},
		{said: "5.6.7.8 ,\t1.2.3.4 , ,", addr: "1.2.3.4", session: "5.6.7.8, 1.2.3.4", http: "5.6.7.8, 1.2.3.4, 192.0.2.7"},
		{said: "unknown", addr: "192.0.2.7", session: "unknown", http: "unknown, 192.0.2.7"},
	}
	cfg := handler.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}

	for _, row := range rows {
		fields := ""
		for line := range strings.SplitSeq(row.said, ";") {
			fields += "X-Forwarded-For: " + line + "\r\n"
		}

		request := "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + fields + "\r\n"

		var got sessionproto.Header
		serveConfig(t, recordingSession(&got), cfg, func(s *site) {
			require.Contains(s, s.raw(request), " 200 OK")
			require.Equal(s, row.addr, got["REMOTE_ADDR"], row.said)
			require.Equal(s, row.session, got["HTTP_X_FORWARDED_FOR"], row.said)
		})

		var raw string
		serveConfig(t, recordingHTTP(&raw), cfg, func(s *site) {
			require.Contains(s, s.raw(request), " 200 OK")
			require.Contains(s, raw, "\r\nX-Forwarded-For: "+row.http+"\r\n", row.said)
		})
	}
}

// Lines of a list that are empty add nothing, and other ones stay as they are.
func TestEmptyLinesAddNothingToALine(t *testing.T) {
	for _, row := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"Accept-Language", []string{"", "de"}, "de"},
		{"Accept-Language", []string{"de", "", "en"}, "de, en"},
		{"Accept-Language", []string{"", ""}, ""},
		{"Accept-Language", []string{`"a,,b"`, "c,,"}, `"a,,b", c,,`},
		{"Accept-Language", []string{"\tx "}, "x"},
		{"Cookie", []string{"", "a=1", "b=2"}, "a=1; b=2"},
		{"Via", []string{"1.1 a", "", "1.0 b (x, y)"}, "1.1 a, 1.0 b (x, y)"},
	} {
		request := "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
		for _, line := range row.lines {
			request += row.name + ": " + line + "\r\n"
		}

		var got sessionproto.Header
		serve(t, recordingSession(&got), func(s *site) {
			require.Contains(s, s.raw(request+"\r\n"), " 200 OK")
			require.Equal(s, row.want, got["HTTP_"+strings.ToUpper(strings.ReplaceAll(row.name, "-", "_"))], "%+v", row)
		})
	}
}

// Faults: R-61.
func TestHeaderNamesFoldOnlyASCII(t *testing.T) {
	kept := 0
	app := scripted(func(_ *http.Request, c net.Conn) bool {
		kept++
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: clo\u017fe\r\nContent-Length: 0\r\n\r\n")
		return false
	})
	serve(t, app, func(s *site) {
		for range 2 {
			response := s.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close, upgrade\r\nUpgrade: " +
				"websoc\u212aet\r\n\r\n")
			require.Contains(s, response, " 200 OK", "it is no upgrade")
		}

		require.Equal(s, 2, kept)
		require.Equal(s, 1, s.factory.LiveProcesses()[0].Connections(), "that is not close")
	})
}
