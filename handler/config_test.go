package handler_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/proxyheader"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func TestConfigurationsThatAreRefused(t *testing.T) {
	for want, cfg := range map[string]handler.Config{
		"ConnectTimeout: the time -1s for connecting to a process is negative: use 0 for 10s": {ConnectTimeout: -time.Second},
		`TrustedHeaders: "X-Forwrded-Host" is no header that applications believe of proxies: use one of ` +
			strings.Join(proxyheader.Names(), ", ") + `, or another one that begins with X-Forwarded-`: {
			TrustedHeaders: []string{"X-Real-Ip", "x-forwarded-host", "X-Forwarded-Anything", "X-Forwrded-Host"},
		},
		`TrustedProxies: "invalid Prefix" is no prefix of addresses: use one like 10.0.0.0/8`: {TrustedProxies: make([]netip.Prefix, 1)},
		`TrustedProxies: "::ffff:10.0.0.0/104" is an address of IPv4 as one of IPv6: use the form 10.0.0.0/8`: {
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")},
		},
		`VaryTurbocacheByCookie: the name "a b" of the cookie that the turbocache varies by is not one of a cookie: use letters`: {
			VaryTurbocacheByCookie: "a b",
		},
		`UnlimitedConcurrencyPaths: the path of unlimited concurrency "cable" does not begin with a slash: write it as`: {
			UnlimitedConcurrencyPaths: []string{"cable"},
		},
		`UnlimitedConcurrencyPaths: the path of unlimited concurrency "/cable?x" has a query or fragment`: {
			UnlimitedConcurrencyPaths: []string{"/cable?x"},
		},
		`MetricsExclude: the path that metrics exclude "health" does not begin with a slash: write it as`: {
			MetricsExclude: []string{"health"},
		},
		"MetricsExclude: a path that metrics exclude is empty: leave it out":                {MetricsExclude: []string{""}},
		"UnlimitedConcurrencyPaths: a path of unlimited concurrency is empty: leave it out": {UnlimitedConcurrencyPaths: []string{""}},
		`StickySessions.CookieName: the name "a=b" of the cookie for sticky sessions has characters other than letters`: {
			StickySessions: handler.StickySessions{CookieName: "a=b"},
		},
		`StickySessions.CookieAttributes: the attributes "a\n" of the cookie for sticky sessions have characters that`: {
			StickySessions: handler.StickySessions{CookieAttributes: "a\n"},
		},
		`Sendfile.Roots: the directory "files" of files for X-Sendfile is not absolute: name it from the root on`: {
			Sendfile: handler.Sendfile{Roots: []string{"files"}},
		},
		`Sendfile.Accel: the path "/files" for X-Accel-Redirect does not begin and end with a slash: write it as /files/`: {
			Sendfile: handler.Sendfile{Accel: map[string]string{"/files": "/srv"}},
		},
		`Sendfile.Accel: the directory "srv" for X-Accel-Redirect to /files/ is not absolute: name it`: {
			Sendfile: handler.Sendfile{Accel: map[string]string{"/files/": "srv"}},
		},
		"ErrorDetails: 7 is not one of DetailsInDevelopment, DetailsAlways and DetailsNever":         {ErrorDetails: 7},
		"QueueFullStatus: the status 200 for a full queue is not one of an error: use 400 to 999":    {QueueFullStatus: 200},
		"QueueTimeoutStatus: the status 399 for a time-out in the queue is not one of an error: use": {QueueTimeoutStatus: 399},
		"SpawnErrorStatus: the status 1000 for a failed start is not one of an error: use 400":       {SpawnErrorStatus: 1000},
	} {
		require.ErrorContains(t, cfg.Validate(), want)
	}

	require.NoError(t, (&handler.Config{}).Validate())
}

// What is wrong is not switched off, with half of the rest, but returned, and all of it.
func TestNewReturnsEachFaultOfItsConfiguration(t *testing.T) {
	factory := spawnertest.New(spawnertest.Script{})
	pool, err := passenger.New(passenger.Config{Spawner: factory})
	require.NoError(t, err)
	defer func() { require.NoError(t, pool.Close()) }()

	cfg := handler.Config{ConnectTimeout: -1, StickySessions: handler.StickySessions{Enabled: true, CookieName: "a b"}}
	cfg.Options.App.Root, cfg.Options.MinProcesses = "relative", -1
	h, err := handler.New(pool, cfg)
	require.Nil(t, h)

	for _, part := range []string{"ConnectTimeout", "StickySessions.CookieName", `"relative"`, "MinProcesses: -1"} {
		require.ErrorContains(t, err, part)
	}

	require.Empty(t, pool.Inspect().Groups)
	require.Empty(t, factory.LiveProcesses())

	h, err = handler.New(nil, handler.Config{Options: passenger.Options{App: spawner.App{Root: "/app"}}})
	require.Nil(t, h)
	require.ErrorContains(t, err, "has no pool: pass one of passenger.New")
}

// Faults: R-46.
func TestHeadsOverTheLimitsAreRefused(t *testing.T) {
	cfg := handler.Config{Limits: handler.Limits{Target: 100, Fields: 10, Field: 200}}
	serveConfig(t, spawnertest.Script{Handler: http.HandlerFunc(echo)}, cfg, func(s *site) {
		ask := func(target, header string) string {
			response := s.raw("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + header + "\r\n")
			status, _, _ := strings.Cut(strings.TrimPrefix(response, "HTTP/1.1 "), " ")
			return status
		}
		for size, want := range map[int]string{99: "200", 100: "200", 101: "414"} {
			require.Equal(s, want, ask("/"+strings.Repeat("x", size-1), ""), size)
		}

		for fields, want := range map[int]string{8: "200", 9: "200", 10: "431"} { // and Connection
			require.Equal(s, want, ask("/", strings.Repeat("X: y\r\n", fields)), fields)
		}

		for size, want := range map[int]string{199: "200", 200: "200", 201: "431"} {
			require.Equal(s, want, ask("/", "X: "+strings.Repeat("y", size-1)+"\r\n"), size)
		}
	})
	cfg.Limits = handler.Limits{Head: 1000}
	serveConfig(t, spawnertest.Script{Handler: http.HandlerFunc(echo)}, cfg, func(s *site) {
		for size, want := range map[int]int{100: 200, 500: 431} {
			value := strings.Repeat("y", size)
			resp, _ := s.do(http.MethodGet, "/", "", "X", value, "Y", value, "Z", value)
			require.Equal(s, want, resp.StatusCode, size)
		}

		// What counts is the target with the names and the values of the fields.
		const others = len("/") + len("Connection") + len("close") + len("X")
		for size, want := range map[int]string{1000: "200", 1001: "431"} {
			response := s.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " +
				strings.Repeat("y", size-others) + "\r\n\r\n")
			require.Contains(s, response, "HTTP/1.1 "+want, size)
		}
	})
	serve(t, spawnertest.Script{Handler: http.HandlerFunc(echo)}, func(s *site) {
		for size, want := range map[int]int{32 << 10: 200, 32<<10 + 1: 414} {
			resp, _ := s.do(http.MethodGet, "/"+strings.Repeat("x", size-1), "")
			require.Equal(s, want, resp.StatusCode)
		}
	})
}

func TestStatusesOfErrors(t *testing.T) {
	cfg := handler.Config{QueueFullStatus: 604, QueueTimeoutStatus: 599, SpawnErrorStatus: 555}
	cfg.Options.MaxRequestQueueSize, cfg.Options.MaxRequestQueueTime = 1, time.Second
	cfg.Options.MaxProcesses = 1
	app := spawnertest.Script{SpawnDelay: time.Minute, Failures: map[int]error{1: errors.New("broken")}}
	serveConfig(t, app, cfg, func(s *site) {
		first := make(chan int)
		go func() {
			resp, _ := s.do(http.MethodGet, "/", "")
			first <- resp.StatusCode
		}()
		synctest.Wait()
		resp, _ := s.do(http.MethodGet, "/", "")

		require.Equal(s, 604, resp.StatusCode)
		require.Equal(s, "604", resp.Header.Get("Status"))
		require.Equal(s, 599, <-first)
	})
	cfg.Options.MaxRequestQueueTime = 0
	serveConfig(t, app, cfg, func(s *site) {
		resp, _ := s.do(http.MethodGet, "/", "")
		require.Equal(s, 555, resp.StatusCode)
	})
}

func TestPoweredByCanBeHidden(t *testing.T) {
	for _, hide := range []bool{false, true} {
		serveConfig(t, spawnertest.Script{Handler: http.HandlerFunc(echo)}, handler.Config{HidePoweredBy: hide},
			func(s *site) {
				for _, method := range []string{http.MethodGet, "PING"} {
					resp, _ := s.do(method, "/", "")
					require.Equal(s, !hide, resp.Header.Get("X-Powered-By") == passenger.ServerSoftware)
					require.Equal(s, hide, resp.Header["X-Powered-By"] == nil)
					require.Equal(s, resp.Status, resp.Header.Get("Status"))
					require.NotEmpty(s, resp.Header.Get("Date"))
				}
			})
	}
}

func TestPathsOfUnlimitedConcurrency(t *testing.T) {
	var release chan struct{}
	app := spawnertest.Script{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cable" {
			<-release
		}

		fmt.Fprint(w, r.URL.Path)
	})}
	cfg := handler.Config{UnlimitedConcurrencyPaths: []string{"/cable/", "/events"}}
	serveConfig(t, app, cfg, func(s *site) {
		release = make(chan struct{})

		responses := make(chan string)
		for range 5 {
			go func() {
				_, body := s.do(http.MethodGet, "/cable", "")
				responses <- body
			}()
		}

		synctest.Wait()
		require.Equal(s, 5, s.sessions(), "at once, in one process")

		for _, target := range []string{"/", "/cables"} {
			_, body := s.do(http.MethodGet, target, "")
			require.Equal(s, target, body, "the others have a process of their own")
		}

		groups := s.pool.Inspect().Groups
		require.Len(s, groups, 2)
		require.Equal(s, "app"+handler.UnlimitedGroupSuffix, groups[1].Name)
		require.Len(s, groups[1].Processes, 1)
		close(release)

		for range 5 {
			require.Equal(s, "/cable", <-responses)
		}
	})
}

func TestAccessLog(t *testing.T) {
	var out bytes.Buffer
	log := logr.FromSlogHandler(slog.NewJSONHandler(&out, nil))
	app := spawnertest.Script{
		SpawnDelay: time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Second)
			echo(w, r)
		}),
	}
	serveConfig(t, app, handler.Config{AccessLog: log}, func(s *site) {
		s.do(http.MethodPost, "/path?q=%0A", "body", "User-Agent", "x")
		s.do("PING", "/", "")

		var lines []map[string]any
		for line := range strings.Lines(out.String()) {
			lines = append(lines, map[string]any{})
			require.NoError(s, json.Unmarshal([]byte(line), &lines[len(lines)-1]))
		}

		require.Len(s, lines, 2)

		first := lines[0]
		for key, want := range map[string]any{
			"msg": "request", "app": "app", "remote": "192.0.2.7", "method": "POST", "host": "example.com",
			"target":   "/path?q=%0A",
			"protocol": "HTTP/1.1", "status": 200.0, "bytesIn": 4.0, "bytesOut": 4.0,
			"queueMs": 1000.0, "checkoutMs": 1000.0, "firstByteMs": 3000.0, "appDoneMs": 3000.0, "totalMs": 3000.0,
		} {
			require.Equal(s, want, first[key], key)
		}

		require.Len(s, first["id"], 32)
		require.NotZero(s, first["pid"])
		require.NotContains(s, first, "error")
		require.InDelta(s, http.StatusNotImplemented, lines[1]["status"], 0)
		require.Contains(s, lines[1]["error"], "method")
	})
}

func TestRequestsInFlight(t *testing.T) {
	app := spawnertest.Script{
		SpawnDelay: time.Minute,
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}),
	}
	serve(t, app, func(s *site) {
		c := s.dial()
		state := func() handler.RequestSnapshot {
			synctest.Wait()
			snapshot := s.handler.Inspect()
			require.Equal(s, uint64(1), snapshot.RequestsBegun)
			require.Len(s, snapshot.Requests, 1)

			return snapshot.Requests[0]
		}
		fmt.Fprint(c, "POST /path HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab")
		r := state()
		require.Equal(s, handler.StateBuffering, r.State)
		require.Equal(s, [4]string{"POST", "h", "/path", "HTTP/1.1"}, [4]string{r.Method, r.Host, r.Path, r.Protocol})
		fmt.Fprint(c, "c")
		r = state()
		require.Equal(s, handler.StateCheckingOut, r.State)
		require.Equal(s, int64(3), r.BodyBytes)
		require.Zero(s, r.PID)
		time.Sleep(90 * time.Second)
		r = state()
		require.Equal(s, handler.StateWaiting, r.State)
		require.NotZero(s, r.PID)
		text, err := json.Marshal(s.handler.Inspect())
		require.NoError(s, err)
		require.Contains(s, string(text), `"state":"WAITING_FOR_APP_OUTPUT"`)
		require.NoError(s, c.Close())
		synctest.Wait()
		require.Empty(s, s.handler.Inspect().Requests)
	})
}

// What the program does to its configuration afterwards is not the handler's.
func TestHandlerKeepsACopyOfItsConfiguration(t *testing.T) {
	pool := spawnertest.NewPool(t, passenger.Config{Spawner: spawnertest.New(spawnertest.Script{Handler: echoScheme})})
	cfg := handler.Config{
		Options:        passenger.Options{App: spawner.App{Root: "/app", Env: map[string]string{"A": "1"}}},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	}
	h, err := handler.New(pool, cfg)
	require.NoError(t, err)
	cfg.TrustedProxies[0] = netip.MustParsePrefix("203.0.113.0/24")
	cfg.Options.App.Env["A"] = "2"

	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "192.0.2.7:1234"
	r.Header.Set("X-Forwarded-Proto", "https")
	h.ServeHTTP(w, r)
	require.Equal(t, "https", w.Body.String(), "the proxy is trusted that was at first")
}

// echoScheme says by which scheme it was asked.
var echoScheme = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-Proto"))
})
