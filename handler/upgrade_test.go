package handler_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

const upgradeRequest = "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: " +
	"WebSocket\r\nSec-WebSocket-Key: k\r\n\r\n"

// shout accepts an upgrade and repeats what it hears.
func shout(c net.Conn, heard io.Reader) bool {
	_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+
		"websocket\r\nSec-WebSocket-Accept: a\r\n\r\nwelcome\n")

	lines := bufio.NewScanner(heard)
	for lines.Scan() {
		fmt.Fprintf(c, "%s!\n", lines.Text())
	}

	return true
}

func upgradingApps() map[string]spawnertest.Script {
	return map[string]spawnertest.Script{
		"http_session": {ServeConn: func(_ *spawnertest.Process, c net.Conn) {
			br := bufio.NewReader(c)
			if r, err := http.ReadRequest(br); err == nil && r.Header.Get("Upgrade") == "websocket" &&
				r.Header.Get("Connection") == "upgrade" {
				shout(c, br)
			}
		}},
		"session": sessionApp(true, func(h sessionproto.Header, body io.Reader, c net.Conn) bool {
			return h["HTTP_UPGRADE"] != "websocket" || h["HTTP_CONNECTION"] != "upgrade" || shout(c, body)
		}),
	}
}

func (s *site) upgrade(early string) (net.Conn, *bufio.Reader) {
	s.Helper()
	c := s.dial()
	go func() { _, _ = io.WriteString(c, upgradeRequest+early) }()
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	require.NoError(s, err)
	require.Equal(s, http.StatusSwitchingProtocols, resp.StatusCode)
	require.Equal(s, http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Accept": {"a"}},
		resp.Header)

	return c, br
}

func (s *site) expectLine(br *bufio.Reader, want string) {
	s.Helper()
	line, err := br.ReadString('\n')
	require.NoError(s, err)
	require.Equal(s, want+"\n", line)
}

func TestTunnel(t *testing.T) {
	for name, app := range upgradingApps() {
		t.Run(name, func(t *testing.T) {
			serve(t, app, func(s *site) {
				c, br := s.upgrade("early\n")
				s.expectLine(br, "welcome")
				s.expectLine(br, "early!")

				for i := range 3 {
					fmt.Fprintf(c, "message %d\n", i)
					s.expectLine(br, fmt.Sprintf("message %d!", i))
				}

				require.Equal(s, 1, s.sessions())
				require.NoError(s, c.Close())
				synctest.Wait()
				require.Zero(s, s.sessions())
			})
		})
	}
}

func TestTunnelEndsWithItsProcess(t *testing.T) {
	for cause, end := range map[string]func(s *site){
		"killed":   func(s *site) { s.factory.LiveProcesses()[0].Die("signal: killed") },
		"shutdown": func(s *site) { require.NoError(s, s.pool.Shutdown(s.Context())) },
	} {
		for name, app := range upgradingApps() {
			t.Run(cause+"/"+name, func(t *testing.T) {
				serve(t, app, func(s *site) {
					c, br := s.upgrade("")
					defer c.Close()
					s.expectLine(br, "welcome")
					began := time.Now()
					end(s)
					require.LessOrEqual(s, time.Since(began), time.Second)
					_, err := io.ReadAll(br) // a frame that closes a WebSocket, perhaps, and its end
					require.NoError(s, err)
					synctest.Wait()

					require.Zero(s, s.sessions())
				})
			})
		}
	}
}

// Both ends of a WebSocket get a close frame, between two frames, and nothing else reaches them then.
func TestWebSocketIsClosedBetweenFrames(t *testing.T) {
	const half = "\x82\x04ab"
	var told [8]byte
	var ending chan struct{} // of the bubble
	app := spawnertest.Script{ServeConn: func(_ *spawnertest.Process, c net.Conn) {
		br := bufio.NewReader(c)
		if _, err := http.ReadRequest(br); err != nil {
			return
		}

		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Accept: a\r\n\r\n\x81\x02hi"+half)
		_, _ = io.ReadFull(br, told[:])
		time.Sleep(time.Millisecond) // then the other direction gets it, too
		close(ending)
		_, _ = io.WriteString(c, "cd\x81\x04late\x88\x02\x03\xf4")
	}}

	serve(t, app, func(s *site) {
		ending = make(chan struct{})

		c, br := s.upgrade("")
		defer c.Close()
		got := make([]byte, len("\x81\x02hi"+half))
		_, err := io.ReadFull(br, got)
		require.NoError(s, err)

		go func() { _ = s.pool.Restart(context.Background(), "app", passenger.RestartOptions{}) }()
		<-ending
		rest, err := io.ReadAll(br)
		require.NoError(s, err)
		require.Equal(s, "cd\x88\x02\x03\xf4", string(rest))

		require.Equal(s, []byte{0x88, 0x82}, told[:2])
		require.Equal(s, []byte{0x03, 0xf4}, []byte{told[6] ^ told[2], told[7] ^ told[3]})
	})
}

// A tunnel keeps a process that is to end, if that is wanted, up to the end of the
// server.
func TestTunnelKeepsItsProcess(t *testing.T) {
	for name, app := range upgradingApps() {
		t.Run(name, func(t *testing.T) {
			cfg := handler.Config{Options: passenger.Options{KeepLongSessions: true}}
			serveConfig(t, app, cfg, func(s *site) {
				c, br := s.upgrade("")
				s.expectLine(br, "welcome")
				other, otherBR := s.upgrade("")
				defer other.Close()
				s.expectLine(otherBR, "welcome")
				require.NoError(s, s.pool.Restart(s.Context(), "app", passenger.RestartOptions{}))
				time.Sleep(time.Hour) // far beyond the time for the last requests
				fmt.Fprint(c, "hello\n")
				s.expectLine(br, "hello!")
				require.NoError(s, c.Close())
				synctest.Wait()
				require.Equal(s, 1, s.sessions())
				s.handler.Drain()
				_, err := io.ReadAll(otherBR) // a frame that closes a WebSocket, perhaps, and its end
				require.NoError(s, err)
				synctest.Wait()

				require.Zero(s, s.sessions())
			})
		})
	}
}

func TestUpgradeThatIsDeclined(t *testing.T) {
	app := replying("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
	serve(t, app, func(s *site) {
		c := s.dial()
		defer c.Close()
		go func() { _, _ = io.WriteString(c, upgradeRequest) }()
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(s, err)
		require.Equal(s, http.StatusForbidden, resp.StatusCode)
		b, err := io.ReadAll(resp.Body)
		require.NoError(s, err)
		require.Equal(s, "no", string(b))
	})
}
