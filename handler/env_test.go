package handler_test

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/sessionproto"
)

func TestEnvironmentOfARequest(t *testing.T) {
	var got sessionproto.Header
	app := sessionApp(true, func(h sessionproto.Header, b io.Reader, c net.Conn) bool {
		got = h
		return echoSession(h, b, c)
	})
	serve(t, app, func(s *site) {
		s.env = handler.Env{"REMOTE_USER": "alice", "HTTP_X_PLAN": "gold", "EMPTY": ""}
		resp, _ := s.do(http.MethodGet, "/", "", "X-Plan", "forged", "X-Other", "kept")
		require.Equal(s, http.StatusOK, resp.StatusCode)
		require.Equal(s, "alice", got["REMOTE_USER"])
		require.Equal(s, "gold", got["HTTP_X_PLAN"], "it wins over the client's header")
		require.Equal(s, "kept", got["HTTP_X_OTHER"])
		require.Contains(s, got, "EMPTY")
		s.env = nil
		s.do(http.MethodGet, "/", "", "X-Plan", "silver")
		require.NotContains(s, got, "REMOTE_USER", "the next request has none of it")
		require.Equal(s, "silver", got["HTTP_X_PLAN"])
		for _, env := range []handler.Env{{"PATH_INFO": "/x"}, {"HTTP_HOST": "x"}, {"": "x"}, {"A=B": "x"}, {"A": "x\x00"}, {"PASSENGER_CONNECT_PASSWORD": "x"}} {
			s.env = env
			resp, _ := s.do(http.MethodGet, "/", "")
			require.Equal(s, http.StatusInternalServerError, resp.StatusCode, "%v", env)
		}
	})
}

func TestEnvironmentOfARequestByHTTP(t *testing.T) {
	var got string
	serve(t, recordingHTTP(&got), func(s *site) {
		s.env = handler.Env{"B": "2", "A": "1"}
		s.do(http.MethodGet, "/", "")
		require.Contains(s, got, "\r\n!~Passenger-Envvars: "+base64.StdEncoding.EncodeToString([]byte("A\x001\x00B\x002\x00"))+"\r\n")
		s.env = nil
		s.do(http.MethodGet, "/", "")
		require.NotContains(s, got, "!~")
		resp, _ := s.do(http.MethodGet, "/", "")
		require.Equal(s, http.StatusOK, resp.StatusCode)
		require.Contains(s, s.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n!~Passenger-Envvars: QQAxAA==\r\n\r\n"), "400 Bad Request")
	})
}
