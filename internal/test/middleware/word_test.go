package middleware_test

import (
	"encoding/json"
	"net/http"
	"testing"

	chi "github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gorilla/handlers"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/middleware/app"
	"github.com/gopassenger/passenger/internal/test/middleware/cases"
)

// received asks with these header fields, and returns what the application got, and the
// response.
func received(t *testing.T, url string, header map[string]string) (app.Received, *http.Response) {
	t.Helper()
	r, err := http.NewRequestWithContext(bounded(t), http.MethodGet, url+app.Request+"/", http.NoBody)
	require.NoError(t, err)

	for name, value := range header {
		r.Header.Set(name, value)
	}

	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	var got app.Received
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&got))

	return got, resp
}

// behindChi and behindEcho have one piece of middleware.
func behindChi(m func(http.Handler) http.Handler, h http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Use(m)
	r.Handle("/*", h)

	return r
}

func behindEcho(m echo.MiddlewareFunc, h http.Handler) http.Handler {
	e := echo.New()
	e.Use(m)
	e.Any("/*", echo.WrapHandler(h))

	return e
}

func TestAddressThatMiddlewareHasFoundIsTheClientsAndNotTrusted(t *testing.T) {
	for name, around := range map[string]func(http.Handler) http.Handler{
		"chi's RealIP":           func(h http.Handler) http.Handler { return behindChi(realIP, h) },
		"gorilla's ProxyHeaders": handlers.ProxyHeaders,
	} {
		t.Run(name, func(t *testing.T) {
			leakgate.Check(t)
			got, _ := received(t, serve(t, around(played(t, handler.Config{}))), map[string]string{
				"X-Real-Ip":         "203.0.113.7",
				"X-Forwarded-Proto": "https",
				"X-Forwarded-Host":  "forged.example.com",
				"X-Request-Id":      "forged",
			})
			require.Equal(t, []string{"203.0.113.7"}, got.Header["X-Forwarded-For"])
			require.NotContains(t, got.Header["X-Forwarded-Host"], "forged.example.com")
			require.NotContains(t, got.Header["X-Forwarded-Proto"], "https")
			require.NotEqual(t, []string{"forged"}, got.Header["X-Request-Id"])
		})
	}
}

func TestRequestIDOfMiddlewareIsTheApplications(t *testing.T) {
	t.Run("chi", func(t *testing.T) {
		leakgate.Check(t)
		var id string
		h := played(t, handler.Config{RequestID: func(r *http.Request) string {
			id = chimiddleware.GetReqID(r.Context())
			return id
		}})
		got, _ := received(t, serve(t, behindChi(chimiddleware.RequestID, h)), nil)
		require.NotEmpty(t, id)
		require.Equal(t, []string{id}, got.Header["X-Request-Id"])
	})
	t.Run("echo", func(t *testing.T) {
		leakgate.Check(t)
		h := behindEcho(echomiddleware.RequestID(), played(t, handler.Config{}))
		got, resp := received(t, serve(t, h), nil)
		require.NotEmpty(t, resp.Header["X-Request-Id"])
		require.Equal(t, resp.Header["X-Request-Id"], got.Header["X-Request-Id"])
	})
}

func TestBodyThatMiddlewareFindsTooLongIs413(t *testing.T) {
	for name, around := range map[string]func(http.Handler) http.Handler{
		"http.MaxBytesHandler": func(h http.Handler) http.Handler { return http.MaxBytesHandler(h, maxBody) },
		"chi's RequestSize": func(h http.Handler) http.Handler {
			return behindChi(chimiddleware.RequestSize(maxBody),
				h)
		},
		"echo's BodyLimit": func(h http.Handler) http.Handler {
			return behindEcho(echomiddleware.BodyLimit("2M"),
				h)
		},
	} {
		t.Run(name, func(t *testing.T) {
			leakgate.Check(t)

			site := cases.Site{URL: serve(t, around(played(t, handler.Config{})))}
			for _, chunked := range []bool{false, true} {
				if chunked && name == "echo's BodyLimit" {
					continue // its reader fails with an error of echo's own, which is 400 as any failure of a body
				}

				require.NoError(t, cases.TooLong(bounded(t), &site, maxBody+1, chunked), "chunked: %v", chunked)
			}
		})
	}
}
