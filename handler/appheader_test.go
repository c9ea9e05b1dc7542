package handler_test

import (
	"context"
	"net/http"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

type traceKey struct{}

// tracer is an observer that sets headers for the application and a value of the
// context.
type tracer struct {
	passenger.NoObserver
	header textproto.MIMEHeader
	// ended are the contexts' values at the requests' ends.
	ended []any
	// sent are the values of the client's X-Sent, scheme is the event's.
	sent   []string
	scheme string
}

func (o *tracer) RequestBegan(ctx context.Context, e *passenger.RequestEvent) context.Context {
	o.sent, o.scheme = e.Header.Values("X-Sent"), e.Scheme
	e.AppHeader = o.header
	return context.WithValue(ctx, traceKey{}, e.ID)
}

func (o *tracer) RequestEnded(ctx context.Context, e *passenger.RequestEvent) {
	o.ended = append(o.ended, ctx.Value(traceKey{}) == e.ID && e.Header == nil && e.AppHeader == nil)
}

// observed puts a handler with an observer in front of s, whose application has both
// protocols, one after the other.
func observed(
	t *testing.T, o *tracer, cfg handler.Config, test func(s *site, protocol loaderproto.Protocol, got func() []string),
) {
	t.Helper()
	var httpGot string

	var sessionGot sessionproto.Header
	for _, c := range []struct {
		protocol loaderproto.Protocol
		script   spawnertest.Script
		got      func() []string
	}{
		{loaderproto.HTTPSession, recordingHTTP(&httpGot), func() []string {
			return strings.Split(strings.TrimSuffix(httpGot, "\r\n\r\n"), "\r\n")[1:]
		}},
		{loaderproto.Session, recordingSession(&sessionGot), func() []string {
			var lines []string
			for name, value := range sessionGot {
				if header, ok := strings.CutPrefix(name, "HTTP_"); ok {
					header = textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(header, "_", "-"))
					lines = append(lines, header+": "+value)
				}
			}

			return lines
		}},
	} {
		t.Run(string(c.protocol), func(t *testing.T) {
			serve(t, c.script, func(s *site) {
				pool := spawnertest.NewPool(s, passenger.Config{Spawner: s.factory, Observer: o})
				cfg.Options.App.Root, cfg.Options.App.GroupName = "/app", "app"
				h, err := handler.New(pool, cfg)
				require.NoError(s, err)
				s.front = h
				test(s, c.protocol, c.got)
				synctest.Wait()
				require.NoError(s, pool.Close())
			})
		})
	}
}

func TestHeadersOfTheObserverReplaceTheClients(t *testing.T) {
	o := &tracer{header: textproto.MIMEHeader{
		"traceparent": {"00-ours-01"}, "Tracestate": {"a=1", "b=2"}, "BAGGAGE": nil, "X-New": {"new"},
	}}
	observed(t, o, handler.Config{}, func(s *site, protocol loaderproto.Protocol, got func() []string) {
		o.ended = nil
		response := s.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close, X-New, Traceparent\r\nTRACEPARENT: " +
			"00-forged-01\r\n" +
			"traceparent: 00-twice-01\r\ntraceState: forged\r\nbaggage: forged\r\nX-Other: kept\r\n\r\n")
		require.Contains(s, response, " 200 OK")

		lines := got()
		require.Contains(s, lines, "Traceparent: 00-ours-01")
		require.Contains(s, lines, "X-New: new", "a client's Connection header takes nothing away")
		require.Contains(s, lines, "X-Other: kept")
		if protocol == loaderproto.HTTPSession {
			require.Contains(s, lines, "Tracestate: a=1")
			require.Contains(s, lines, "Tracestate: b=2")
		} else {
			require.Contains(s, lines, "Tracestate: a=1, b=2")
		}

		all := strings.Join(lines, "\n")
		require.Equal(s, 1, strings.Count(all, "Traceparent:"), all)
		require.NotContains(s, all, "forged")
		require.NotContains(s, all, "Baggage", "no values: the client's is left out")
		require.Equal(s, []any{true}, o.ended, "the context of the beginning is that of the end")
	})
}

func TestRequestOfTheCallerKeepsItsHeadersBesideTheObservers(t *testing.T) {
	o := &tracer{header: textproto.MIMEHeader{"Traceparent": {"ours"}}}
	observed(t, o, handler.Config{}, func(s *site, _ loaderproto.Protocol, got func() []string) {
		h := s.front
		var before, after http.Header
		s.front = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header["traceparent"] = []string{"of middleware, not canonical"}
			before, after = r.Header.Clone(), r.Header
			h.ServeHTTP(w, r)
		})
		resp, _ := s.do(http.MethodGet, "/", "", "Traceparent", "client's")
		require.Equal(s, http.StatusOK, resp.StatusCode)
		require.Equal(s, before, after)
		require.Contains(s, got(), "Traceparent: ours")
		require.NotContains(s, strings.Join(got(), "\n"), "middleware")
		require.Equal(s, textproto.MIMEHeader{"Traceparent": {"ours"}}, o.header)
	})
}

func TestObserverSeesTheClientsHeadersAndScheme(t *testing.T) {
	for prefix, scheme := range map[string]string{"192.0.2.0/24": "https", "10.0.0.0/8": "http"} {
		o := &tracer{}
		cfg := handler.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix(prefix)}}
		observed(t, o, cfg, func(s *site, _ loaderproto.Protocol, _ func() []string) {
			o.ended = nil
			resp, _ := s.do(http.MethodGet, "/", "", "X-Sent", "1", "x-sent", "2", "X-Forwarded-Proto", "https")
			require.Equal(s, http.StatusOK, resp.StatusCode)
			require.Equal(s, []string{"1", "2"}, o.sent)
			require.Equal(s, scheme, o.scheme)
			require.Equal(s, []any{true}, o.ended, "the end has no headers")
		})
	}
}

func TestHeadersOfTheObserverThatCannotBeSentAreLeftOutAndLogged(t *testing.T) {
	for name, c := range map[string]struct {
		header textproto.MIMEHeader
		reason string
	}{
		"own name": {
			textproto.MIMEHeader{"!~Passenger-Envvars": {"bad"}},
			"characters than letters, digits and dashes",
		},
		"underscore": {textproto.MIMEHeader{"X_User": {"bad"}}, "characters than letters, digits and dashes"},
		"no name":    {textproto.MIMEHeader{"": {"bad"}}, "characters than letters, digits and dashes"},
		"line in a name": {
			textproto.MIMEHeader{"X\r\nX-Evil": {"bad"}},
			"characters than letters, digits and dashes",
		},
		"hop-by-hop":       {textproto.MIMEHeader{"transfer-encoding": {"bad"}}, "only the handler sets it"},
		"upgrade":          {textproto.MIMEHeader{"Upgrade": {"bad"}}, "only the handler sets it"},
		"host":             {textproto.MIMEHeader{"HOST": {"bad"}}, "only the handler sets it"},
		"length":           {textproto.MIMEHeader{"Content-Length": {"bad"}}, "only the handler sets it"},
		"request id":       {textproto.MIMEHeader{"x-request-id": {"bad"}}, "only the handler sets it"},
		"client's address": {textproto.MIMEHeader{"X-Forwarded-For": {"bad"}}, "only the handler sets it"},
		"scheme":           {textproto.MIMEHeader{"x-forwarded-proto": {"bad"}}, "only the handler sets it"},
		"line in a value": {
			textproto.MIMEHeader{"X-Plan": {"good", "bad\r\nX-Evil: bad"}},
			"its value has a control character",
		},
		"NUL in a value": {textproto.MIMEHeader{"X-Plan": {"bad\x00"}}, "its value has a control character"},
	} {
		t.Run(name, func(t *testing.T) {
			var logged []string
			var cfg handler.Config
			cfg.Logger = funcr.New(func(_, args string) { logged = append(logged, args) }, funcr.Options{})
			c.header["X-Sent"] = []string{"sent"}
			observed(t, &tracer{header: c.header}, cfg, func(s *site, _ loaderproto.Protocol, got func() []string) {
				logged = nil

				for range 2 {
					resp, _ := s.do(http.MethodGet, "/", "", "X-Plan", "bad: the client's")
					require.Equal(s, http.StatusOK, resp.StatusCode, "watching costs no request")
					require.Contains(s, got(), "X-Sent: sent")
				}

				// The id is of random letters.
				all := strings.Join(slices.DeleteFunc(got(),
					func(line string) bool { return strings.HasPrefix(line, "X-Request-Id:") }), "\n")
				if _, ok := c.header["X-Plan"]; ok {
					require.NotContains(s, all, "bad")
				} else {
					require.Equal(s, 1, strings.Count(all, "bad"))
				}

				require.Len(s, logged, 1, "not for each request")
				require.Contains(s, logged[0], c.reason)
				require.NotContains(s, logged[0], `"bad`)
			})
		})
	}
}

func TestResponsesToAUserOfTheObserverAreNotCached(t *testing.T) {
	for name, cached := range map[string]bool{"Traceparent": true, "authorization": false, "Cookie": false} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			app := spawnertest.Script{
				Protocol: loaderproto.HTTPSession,
				Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					asked++
					w.Header().Set("Cache-Control", "public, max-age=60")
				}),
			}
			serve(t, app, func(s *site) {
				o := &tracer{header: textproto.MIMEHeader{name: {"x"}}}
				pool := spawnertest.NewPool(s, passenger.Config{Spawner: s.factory, Observer: o})
				var cfg handler.Config
				cfg.Options.App.Root = "/app"
				h, err := handler.New(pool, cfg)
				require.NoError(s, err)

				s.front = h
				for range 2 {
					resp, _ := s.do(http.MethodGet, "/", "")
					require.Equal(s, http.StatusOK, resp.StatusCode)
				}

				require.Equal(s, cached, asked == 1)
				synctest.Wait()
				require.NoError(s, pool.Close())
			})
		})
	}
}

// The pool looks at the request's context, which has what the observer put into it.
func TestContextOfTheObserverReachesThePool(t *testing.T) {
	hold := &dialer{}
	serve(t, spawnertest.Script{Handler: http.HandlerFunc(echo), BeforeDial: hold.look}, func(s *site) {
		pool := spawnertest.NewPool(s, passenger.Config{Spawner: s.factory, Observer: &tracer{}})
		var cfg handler.Config
		cfg.Options.App.Root = "/app"
		h, err := handler.New(pool, cfg)
		require.NoError(s, err)
		s.front = h
		resp, _ := s.do(http.MethodGet, "/", "")
		require.Equal(s, http.StatusOK, resp.StatusCode)
		require.NotEmpty(s, hold.value)
		synctest.Wait()
		require.NoError(s, pool.Close())
	})
}

// dialer keeps the value of the context that a connection is made with.
type dialer struct{ value any }

func (d *dialer) look(ctx context.Context, _ *spawnertest.Process) error {
	d.value = ctx.Value(traceKey{})
	return nil
}
