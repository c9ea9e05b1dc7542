package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/printed"
)

const (
	// The header of a client 198.51.100.1:4711, and one that names no client.
	proxyHeaderV1    = "PROXY TCP4 198.51.100.1 127.0.0.1 4711 443\r\n"
	proxyHeaderV2    = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc6\x33\x64\x01\x7f\x00\x00\x01\x12\x67\x01\xbb"
	proxyHeaderLocal = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
	proxyHeaderSix   = "PROXY TCP6 2001:db8::1 ::1 4711 443\r\n"
)

// dumpApp is the directory of an application that responds with its environment.
func dumpApp(t testing.TB) string {
	t.Helper()
	interpreters.Find(t, "python", "python3")
	dir := t.TempDir()
	dump := headerDump["wsgi"]
	require.NoError(t, os.WriteFile(filepath.Join(dir, dump.file), []byte(dump.code), 0o644))

	return dir
}

// announced has each connection begin with a header.
func announced(network, addr, header string) func(*http.Transport) {
	return func(tr *http.Transport) {
		tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}

			_, err = io.WriteString(c, header)

			return c, err
		}
	}
}

func environ(t testing.TB, a *reply) map[string]string {
	t.Helper()
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	var env map[string]string
	require.NoError(t, json.Unmarshal([]byte(a.body), &env), a.body)

	return env
}

func TestProxyProtocolSaysWhoTheClientIs(t *testing.T) {
	t.Parallel()
	p := newPair(t)

	dir := dumpApp(t)
	for name, args := range map[string][]string{
		"TCP": nil, "TLS": p.args(), "socket": {
			"--socket", filepath.Join(t.TempDir(), "s"), "--proxy-protocol",
			"unix",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, &launch{
				dir:  dir,
				args: append(args, "--proxy-protocol", "127.0.0.0/8", "--trusted-proxy", "127.0.0.1"),
			})
			network, addr := "tcp", strings.TrimPrefix(strings.TrimPrefix(s.url, "http://"), "https://")
			if path, ok := strings.CutPrefix(s.url, "unix:"); ok {
				network, addr = "unix", path
			}

			for header, client := range map[string]string{
				proxyHeaderV1: "198.51.100.1 4711", proxyHeaderV2: "198.51.100.1 4711",
				proxyHeaderSix: "2001:db8::1 4711",
			} {
				options := []func(*http.Transport){announced(network, addr, header)}
				if args != nil {
					options = append(options, trusting(p, false))
				}

				c := s.client(t, options...)
				for range 2 { // the second one on the same connection
					got := environ(t, c.get(t, "/", "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "https"))
					require.Equal(t, client, got["REMOTE_ADDR"]+" "+got["REMOTE_PORT"])
					require.Equal(t, name == "TLS", got["HTTPS"] == "on",
						"the client is no trusted proxy, whoever connects for it")
				}
			}
		})
	}
}

// A client that the proxy cannot name has no address, and nothing of what it says is believed.
func TestProxyProtocolMakesUpNoClient(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	node := t.TempDir()
	dump := headerDump["node"]
	require.NoError(t, os.WriteFile(filepath.Join(node, dump.file), []byte(dump.code), 0o644))
	interpreters.Find(t, "node", "node")
	wsgi := dumpApp(t)

	headers := []string{
		proxyHeaderLocal, // HAProxy sends it also for clients on a Unix socket of its own
		"PROXY UNKNOWN\r\n",
		"PROXY UNKNOWN 198.51.100.1 127.0.0.1 4711 80\r\n",
		"\r\n\r\n\x00\r\nQUIT\n\x21\x00\x00\x00",
		"\r\n\r\n\x00\r\nQUIT\n\x21\x31\x00\xd8" + strings.Repeat("\x00", len(syscall.RawSockaddrUnix{}.Path)*2),
	}
	const tls, socket = 1, 2 // flags

	servers := map[string]struct {
		args  []string
		flags int
	}{
		"front": {}, "front, socket": {nil, socket}, "TLS": {p.args(), tls}, "TLS, socket": {p.args(), tls | socket},
		"standard":         {[]string{"--http-server", "standard"}, 0},
		"standard, socket": {[]string{"--http-server", "standard"}, socket},
	}
	for name, server := range servers {
		for kind, dir := range map[string]string{"wsgi": wsgi, "node": node} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()

				args := []string{"--proxy-protocol", "127.0.0.0/8", "--trusted-proxy", "127.0.0.1"}
				args = append(args, server.args...)
				if server.flags&socket != 0 {
					args = append(args, "--socket", filepath.Join(t.TempDir(), "s"), "--proxy-protocol", "unix")
				}

				s := start(t, &launch{dir: dir, args: args})
				network, addr := "tcp", strings.TrimPrefix(strings.TrimPrefix(s.url, "http://"), "https://")
				if path, ok := strings.CutPrefix(s.url, "unix:"); ok {
					network, addr = "unix", path
				}

				for _, header := range headers {
					c := s.client(t, announced(network, addr, header))
					if server.flags&tls != 0 {
						c = s.client(t, announced(network, addr, header), trusting(p, false))
						c.base = "https://127.0.0.1"
					}

					got := environ(t, c.get(t, "/", "X-Forwarded-For", "6.6.6.6"))
					require.Empty(t, got["REMOTE_ADDR"], "%q", header)
					require.NotContains(t, got, "HTTP_X_FORWARDED_FOR", "%q", header)
					require.NotContains(t, got, "x-forwarded-for", "%q", header)
				}
			})
		}
	}
}

// What does not begin with the header, or comes from elsewhere, is closed without a byte.
func TestProxyProtocolIsOfNamedNetworksOnly(t *testing.T) {
	t.Parallel()

	dir := dumpApp(t)
	for name, row := range map[string]struct{ network, sent, told string }{
		"another network": {"192.0.2.0/24", proxyHeaderV1 + "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "none of the proxies"},
		"no header":       {"127.0.0.1", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "no header of the PROXY protocol"},
		"TLS": {
			"127.0.0.1", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
			"no header of the PROXY protocol",
		},
		"malformed": {
			"127.0.0.1", "PROXY TCP4 evil 127.0.0.1 1 2\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
			"no address of TCP4",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := start(t, &launch{dir: dir, args: []string{"--proxy-protocol", row.network}})
			for range 20 {
				c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
				require.NoError(t, err)
				_, _ = io.WriteString(c, row.sent) // it may be closed already
				b, _ := io.ReadAll(c)              // by a reset, where something was not read
				require.Empty(t, b)
				require.NoError(t, c.Close())
			}

			s.Stderr.Await(t, row.told, 1, s.Ended)
			require.Equal(t, 1, strings.Count(s.Stderr.String(), "closed connections"),
				"one line, not one each: %s", &s.Stderr)
		})
	}
}

func TestProxyProtocolOfHAProxy(t *testing.T) {
	t.Parallel()
	haproxy := interpreters.Find(t, "haproxy", "haproxy", "/usr/sbin/haproxy")

	s := start(t, &launch{dir: dumpApp(t), args: []string{"--proxy-protocol", "127.0.0.1"}})
	for _, version := range []string{"send-proxy", "send-proxy-v2"} {
		t.Run(version, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "front")
			t.Parallel()
			l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
			require.NoError(t, err)
			addr := l.Addr().String()

			// HAProxy takes the socket over, so that no other program can have the port.
			file, err := l.File()
			require.NoError(t, err)
			conf := socket + ".cfg"
			require.NoError(t, os.WriteFile(conf, []byte(fmt.Sprintf(
				"defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\nlisten "+
					"front\n bind fd@3\n server app %s %s\n",
				strings.TrimPrefix(s.url, "http://"), version)), 0o600))
			cmd := exec.CommandContext(t.Context(), haproxy, "-db", "-f", conf)
			output := &printed.Output{}
			cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = output, output, []*os.File{file}
			require.NoError(t, cmd.Start())
			defer func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait() // it was killed
				require.NoError(t, file.Close())
				require.NoError(t, l.Close())
			}()

			c, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			defer c.Close()
			_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			require.NoError(t, err)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			require.NoError(t, err, "%s", output)
			defer resp.Body.Close()
			var env map[string]string
			require.NoError(t, json.NewDecoder(resp.Body).Decode(&env))
			require.Equal(t, c.LocalAddr().String(), net.JoinHostPort(env["REMOTE_ADDR"], env["REMOTE_PORT"]), "%s",
				output)
		})
	}
}
