package handler_test

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/loaders/goapp"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func TestEnvironmentOfARequest(t *testing.T) {
	var got sessionproto.Header
	app := sessionApp(true, func(h sessionproto.Header, b io.Reader, c net.Conn) bool {
		got = h
		return echoSession(h, b, c)
	})
	serve(t, app, func(s *site) {
		s.env = handler.Env{"REMOTE_USER": "alice", "HTTP_X_PLAN": "gold", "EMPTY": ""}
		require.NoError(s, s.env.Validate())
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

		for _, env := range []handler.Env{
			{"PATH_INFO": "/x"},
			{"HTTP_HOST": "x"},
			{"": "x"},
			{"A=B": "x"},
			{"A": "x\x00"},
			{"PASSENGER_CONNECT_PASSWORD": "x"},
		} {
			require.Error(s, env.Validate(), "%v", env)

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
		require.Contains(s, got, "\r\n!~Passenger-Envvars: "+
			base64.StdEncoding.EncodeToString([]byte("A\x001\x00B\x002\x00"))+"\r\n")
		s.env = nil
		s.do(http.MethodGet, "/", "")
		require.NotContains(s, got, "!~")
		resp, _ := s.do(http.MethodGet, "/", "")
		require.Equal(s, http.StatusOK, resp.StatusCode)
		require.Contains(s, s.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n!~Passenger-Envvars: "+
			"QQAxAA==\r\n\r\n"), "400 Bad Request")
	})
}

// What a program says of a request reaches an application by HTTP in a form that its
// loader decodes, and a client's header of the same meaning does not.
func TestEnvironmentOfARequestIsDecodedByApplicationsInGo(t *testing.T) {
	var got map[string]string
	var header http.Header
	app := spawnertest.Script{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, header = goapp.Env(r), r.Header.Clone()
	})}
	serve(t, app, func(s *site) {
		s.env = handler.Env{
			"REMOTE_USER": "alice", "EMPTY": "", "HTTP_X_PLAN": "gold", "HTTP_SEC_WEBSOCKET_KEY": "k",
			"HTTP_X_LINES":           "a\r\nX-Evil: b",
			"HTTP_TRANSFER_ENCODING": "chunked", "HTTP_X_FORWARDED_FOR": "203.0.113.9", "HTTP_CONTENT_LENGTH": "7",
			"UNICODE": "é\xff",
		}
		resp, _ := s.do(http.MethodGet, "/", "", "X-Plan", "forged", "X-Lines", "forged", "X-Other", "kept")
		require.Equal(s, http.StatusOK, resp.StatusCode)
		require.Equal(s, map[string]string(s.env), got)
		require.Equal(s, []string{"gold"}, header["X-Plan"], "it wins over the client's")
		require.Equal(s, "kept", header.Get("X-Other"))
		require.NotContains(s, header, "X-Lines", "a header cannot have it")
		require.NotContains(s, header, "X-Evil")
		require.Equal(s, []string{"192.0.2.7"}, header["X-Forwarded-For"])

		s.env = nil
		s.do(http.MethodGet, "/", "", "X-Plan", "silver")
		require.Nil(s, got)
		require.Equal(s, []string{"silver"}, header["X-Plan"])
	})
}

// Middleware without a variable for a request may call WithEnv with nil, and change its map afterwards.
func TestEnvironmentIsACopyOfEachMiddlewares(t *testing.T) {
	var got sessionproto.Header
	app := sessionApp(true, func(h sessionproto.Header, b io.Reader, c net.Conn) bool {
		got = h
		return echoSession(h, b, c)
	})
	serve(t, app, func(s *site) {
		s.front = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			own := handler.Env{"A": "1"}
			ctx := handler.WithEnv(handler.WithEnv(r.Context(), nil), own)
			own["A"], own["B"] = "2", "2"
			s.handler.ServeHTTP(w, r.WithContext(handler.WithEnv(ctx, handler.Env{"C": "3"})))
		})
		resp, _ := s.do(http.MethodGet, "/", "")
		require.Equal(s, http.StatusOK, resp.StatusCode)
		require.Equal(s, "1", got["A"])
		require.NotContains(s, got, "B")
		require.Equal(s, "3", got["C"])
	})
}
