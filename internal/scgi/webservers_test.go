package scgi_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/scgi"
)

// echo is what an application sees of a request.
type echo struct {
	Method, Target, Host, Remote, Proto string
	TLS                                 bool
	Header                              http.Header
	Params                              map[string]string
	Length                              int64
	Sum                                 string
	Err                                 string
}

func serveEcho(w http.ResponseWriter, r *http.Request) {
	e := echo{
		Method: r.Method,
		Target: r.RequestURI,
		Host:   r.Host,
		Remote: r.RemoteAddr,
		Proto:  r.Proto,
		TLS:    r.TLS != nil,
		Header: r.Header,
		Params: map[string]string{},
	}
	for _, p := range scgi.Params(r) {
		e.Params[p.Name] = p.Value
	}

	sum := sha256.New()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		e.Err = err.Error()
	}

	e.Length, e.Sum = n, fmt.Sprintf("%x", sum.Sum(nil))
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(e)
}

func readEcho(t *testing.T, resp *http.Response) (e echo) {
	t.Helper()
	b := readBody(t, resp)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", b)
	require.NoError(t, json.Unmarshal([]byte(b), &e), "%s", b)
	require.Empty(t, e.Err)

	return e
}

func readBody(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())

	return string(b)
}

func set(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func TestWebServersRequests(t *testing.T) {
	forEachKind(t, serveEcho, func(t *testing.T, w *webServer) {
		t.Run("options and addresses", func(t *testing.T) {
			e := readEcho(t, w.do(http.MethodGet, "/x?y=1%202", nil,
				set("X-Passenger-App-Root", "/evil"), set("X-Passenger-Options", "User"),
				set("X-Passenger-User", "root"), set("X-Passenger-Password", "x"),
				set("PASSENGER_APP_ROOT", "/evil"), set("Proxy", "evil"), set("X-Forwarded-Proto", "https"),
				set("X-Forwarded-For", "203.0.113.9"), set("X-Other", "1"), set("X-Other", "2"),
				set("Authorization", "Bearer abc"), set("Cookie", "a=1; b=2"),
			))
			require.Equal(t, http.MethodGet, e.Method)
			require.Equal(t, "/x?y=1%202", e.Target)
			require.Contains(t, []string{w.Addr, "127.0.0.1"}, e.Host)
			require.False(t, e.TLS)
			require.Equal(t, "1,2", strings.ReplaceAll(strings.Join(e.Header.Values("X-Other"), ","), ", ", ","))
			require.Equal(t, []string{"a=1; b=2"}, e.Header["Cookie"])
			require.Equal(t, []string{"Bearer abc"}, e.Header["Authorization"])
			require.Empty(t, e.Header["Proxy"])
			if w.SCGI {
				require.Equal(t, "/srv/test", e.Params["PASSENGER_APP_ROOT"])
				require.Equal(t, "staging", e.Params["PASSENGER_APP_ENV"])
				require.Equal(t, "hush", e.Params["PASSENGER_PASSWORD"])
				require.True(t, strings.HasPrefix(e.Remote, "127.0.0.1:"), "%q", e.Remote)
				require.NotEqual(t, "127.0.0.1:0", e.Remote)
				require.Equal(t, "HTTP/1.1", e.Proto)

				return
			}

			require.Empty(t, e.Params)
			require.Equal(t, []string{"/srv/test"}, e.Header["X-Passenger-App-Root"])
			require.Equal(t, []string{"staging"}, e.Header["X-Passenger-App-Env"])
			require.Equal(t, []string{"App-Root, App-Env"}, e.Header["X-Passenger-Options"])
			require.Equal(t, []string{"hush"}, e.Header["X-Passenger-Password"])
			require.Equal(t, []string{"127.0.0.1"}, e.Header["X-Forwarded-For"])
			require.Equal(t, []string{"http"}, e.Header["X-Forwarded-Proto"])
		})
		t.Run("targets", func(t *testing.T) {
			for _, target := range []string{
				"/", "/?", "/a%2Fb", "/a%2fb%20c", "//a//b", "/a/%2e%2e/b", "/a/./b/../c", "/%C3%BC", "/a;b=c,d",
				"/a?b?c&&d=%00%zz", "/a+b", "/%3Fa%23",
				"/" + strings.Repeat("x", 4000), "/assets2/x",
			} {
				resp := w.raw("GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
				e := readEcho(t, resp)
				if !w.SCGI && w.Apache && strings.HasPrefix(target, "//") {
					target = target[1:]
				}

				require.Equal(t, target, e.Target)
			}

			for _, target := range []string{"/a b", "/a\x01b", "/%zz"} {
				resp := w.raw("GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
				if resp.StatusCode == http.StatusOK {
					require.Equal(t, target, readEcho(t, resp).Target)
				}
			}
		})
		t.Run("bodies", func(t *testing.T) {
			body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)

			sum := fmt.Sprintf("%x", sha256.Sum256(body))
			for _, prepare := range []func(*http.Request){
				func(*http.Request) {},
				set("Expect", "100-continue"),
				func(r *http.Request) { r.ContentLength = -1 },
			} {
				resp := w.do(http.MethodPost, "/upload", bytes.NewReader(body), prepare,
					set("Content-Type", "text/x-test"))
				if w.SCGI && w.Apache && resp.Request.ContentLength < 0 {
					require.Equal(t, http.StatusLengthRequired, resp.StatusCode)
					continue
				}

				e := readEcho(t, resp)
				require.EqualValues(t, len(body), e.Length)
				require.Equal(t, sum, e.Sum)
				require.Equal(t, []string{"text/x-test"}, e.Header["Content-Type"])
				require.Equal(t, http.MethodPost, e.Method)
			}

			e := readEcho(t, w.do(http.MethodPut, "/", http.NoBody))
			require.Zero(t, e.Length)
		})
		t.Run("large headers", func(t *testing.T) {
			e := readEcho(t, w.do(http.MethodGet, "/", nil, set("X-Large", strings.Repeat("y", 30_000))))
			require.Len(t, e.Header.Get("X-Large"), 30_000)
		})
		t.Run("HTTP/1.0", func(t *testing.T) {
			e := readEcho(t, w.raw("GET /old HTTP/1.0\r\n\r\n"))
			require.Equal(t, "/old", e.Target)
			if w.SCGI {
				require.Equal(t, "HTTP/1.0", e.Proto)
			}
		})
		t.Run("hosts", func(t *testing.T) {
			resp := w.raw("GET http://localhost/x HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n")
			e := readEcho(t, resp)
			require.Equal(t, "localhost", e.Host)
			require.True(t, strings.HasSuffix(e.Target, "/x"), "%q", e.Target)
		})
		t.Run("files of its own", func(t *testing.T) {
			require.Equal(t, "an asset", readBody(t, w.do(http.MethodGet, "/assets/a.txt", nil)))
		})
	})
}

func TestWebServersForwardResponses(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdefghij"), 1<<18) // 5 MiB
	file := filepath.Join(t.TempDir(), "file.txt")
	require.NoError(t, os.WriteFile(file, big, 0o600))
	forEachKind(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/big":
			_, _ = w.Write(big)
		case "/file":
			http.ServeFile(w, r, file)
		case "/cookies":
			w.Header().Add("Set-Cookie", "a=1; Path=/")
			w.Header().Add("Set-Cookie", "b=2")
			w.Header().Set("X-Large", strings.Repeat("z", 7000))
			w.WriteHeader(http.StatusCreated)
		case "/elsewhere":
			http.Redirect(w, r, "/there", http.StatusFound)
		case "/location":
			w.Header().Set("Location", "/there")
			fmt.Fprint(w, "here")
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/unchanged":
			w.WriteHeader(http.StatusNotModified)
		case "/hints":
			w.WriteHeader(http.StatusEarlyHints)
			fmt.Fprint(w, "after")
		case "/teapot":
			w.WriteHeader(http.StatusTeapot)
		case "/refuse":
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			fmt.Fprint(w, "too large")
		case "/silent":
			panic(http.ErrAbortHandler)
		case "/short":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "short")
			_ = http.NewResponseController(w).Flush()
		case "/broken":
			fmt.Fprint(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		default:
			http.NotFound(w, r)
		}
	}, func(t *testing.T, w *webServer) {
		get := func(target string, prepare ...func(*http.Request)) *http.Response {
			return w.do(http.MethodGet, target, nil, prepare...)
		}
		for _, target := range []string{"/big", "/file"} {
			require.Equal(t, string(big), readBody(t, get(target)), target)
		}

		resp := w.do(http.MethodHead, "/file", nil)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.EqualValues(t, len(big), resp.ContentLength)
		require.Empty(t, readBody(t, resp))
		require.Empty(t, readBody(t, w.do(http.MethodHead, "/big", nil)))

		resp = get("/file", set("Range", "bytes=10-29"))
		require.Equal(t, http.StatusPartialContent, resp.StatusCode)
		require.Equal(t, fmt.Sprintf("bytes 10-29/%d", len(big)), resp.Header.Get("Content-Range"))
		require.Equal(t, string(big[10:30]), readBody(t, resp))

		resp = get("/cookies")
		require.Equal(t, http.StatusCreated, resp.StatusCode)
		require.Equal(t, []string{"a=1; Path=/", "b=2"}, resp.Header["Set-Cookie"])
		require.Len(t, resp.Header.Get("X-Large"), 7000)

		resp = get("/elsewhere")
		require.Equal(t, http.StatusFound, resp.StatusCode)
		require.True(t, strings.HasSuffix(resp.Header.Get("Location"), "/there"))
		resp = get("/location")
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, "here", readBody(t, resp))

		for target, status := range map[string]int{
			"/none": 204, "/unchanged": 304, "/teapot": 418, "/nothing": 404,
			"/silent": 502,
		} {
			resp = get(target)
			if target == "/silent" && w.Apache {
				require.GreaterOrEqual(t, resp.StatusCode, 500)
			} else {
				require.Equal(t, status, resp.StatusCode, target)
			}

			_ = readBody(t, resp)
		}

		if w.SCGI { // what others do with them is not ours
			require.Equal(t, "after", readBody(t, get("/hints")))
		}

		if w.SCGI { // net/http closes the connection
			resp = w.do(http.MethodPost, "/refuse", bytes.NewReader(big[:1<<20]))
			require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
			require.Equal(t, "too large", readBody(t, resp))
		}

		for _, target := range []string{"/short", "/broken"} {
			resp = get(target)
			_, err := io.ReadAll(resp.Body)
			require.Error(t, err, "%s: the client takes half of a response for all of it", target)
		}
	})
}

// A web server that is reloaded, again and again, loses no request.
func TestWebServersReload(t *testing.T) {
	forEachKind(t, serveEcho, func(t *testing.T, w *webServer) {
		var done atomic.Int64
		var wg sync.WaitGroup
		errs := make(chan error, 4)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()

		progress := make(chan struct{}, 1)
		for range 4 {
			wg.Go(func() {
				for ctx.Err() == nil {
					if err := w.post("some body"); err != nil {
						errs <- err
						return
					}

					done.Add(1)

					select {
					case progress <- struct{}{}:
					default:
					}
				}
			})
		}

		printed := "signal 1 (SIGHUP) received"
		if w.Apache {
			printed = "AH00493" // graceful restart
		}

		for i := range 3 {
			for at := done.Load(); done.Load() < at+100; {
				select {
				case <-progress:
				case err := <-errs:
					require.NoError(t, err)
				case <-time.After(patience):
					require.FailNow(t, "no request got a response")
				}
			}

			w.Reload()
			w.waitPrinted(printed, i+1)
		}

		cancel()
		wg.Wait()
		close(errs)

		for err := range errs {
			require.NoError(t, err)
		}

		t.Logf("%d requests", done.Load())
	})
}

func (w *webServer) post(body string) error {
	resp, err := w.client.Post("http://"+w.Addr+"/", "text/plain", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var e echo
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
		return err
	}

	if resp.StatusCode != http.StatusOK || e.Length != int64(len(body)) {
		return errors.New(resp.Status)
	}

	return nil
}
