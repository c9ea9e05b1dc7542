package agent

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/ratelog"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// appsStand is an apps before a pool of scripted applications.
type appsStand struct {
	*apps
	*testing.T
	factory *spawnertest.Factory

	mu  sync.Mutex
	log strings.Builder
}

func (s *appsStand) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

func (s *appsStand) logger() logr.Logger {
	return funcr.New(func(_, args string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.log.WriteString(args + "\n")
	}, funcr.Options{})
}

// withApps runs a test in virtual time.
func withApps(t *testing.T, h http.HandlerFunc, test func(s *appsStand)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &appsStand{T: t, factory: spawnertest.New(spawnertest.Script{Handler: h, Concurrency: 100})}
		config := passenger.Config{Spawner: s.factory, SelfChecks: true}
		pool, err := passenger.New(config)
		require.NoError(t, err)
		s.apps = newApps(flyingConfig(), pool, handler.Config{Logger: s.logger()})
		defer func() {
			s.close()
			require.NoError(t, pool.Close())
			require.Empty(t, s.factory.LiveProcesses())
		}()
		test(s)
	})
}

func (s *appsStand) ask(root string, header ...string) *httptest.ResponseRecorder {
	s.Helper()
	r := httptest.NewRequest(http.MethodGet, "/x", nil)
	r.Header = headers(append([]string{
		passwordHeader, testPassword, listHeader, "App-Root, Max-Requests",
		"X-Passenger-App-Root", root,
	}, header...)...)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)

	return w
}

func (s *appsStand) count() int {
	s.apps.mu.Lock()
	defer s.apps.mu.Unlock()
	require.Equal(s, len(s.known), s.used.Len())

	return len(s.known)
}

func hello(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprint(w, "hello ", r.Header)
}

func TestAppsAreKnownByTheirFirstRequest(t *testing.T) {
	withApps(t, hello, func(s *appsStand) {
		for range 3 {
			for _, root := range []string{"/a", "/b"} {
				w := s.ask(root, "X-Passenger-User", "root", "X-Seen", "yes")
				require.Equal(t, http.StatusOK, w.Code, w.Body)
				require.Contains(t, w.Body.String(), "X-Seen")
				require.NotContains(t, w.Body.String(), "X-Passenger-")
				require.NotContains(t, w.Body.String(), testPassword)
			}
		}

		require.Equal(t, 2, s.count())
		require.Len(t, s.pool.Inspect().Groups, 2)
		require.Len(t, s.handlers(), 2)

		// Another configuration of the same application is no other application.
		require.Equal(t, http.StatusOK, s.ask("/a", "X-Passenger-Max-Requests", "7").Code)
		require.Equal(t, 3, s.count())
		require.Len(t, s.pool.Inspect().Groups, 2)
	})
}

func TestAppsHaveThePathsOfTheirFrameworksWebSockets(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "config"), 0o700))

	for name, text := range map[string]string{
		"config.ru": "", "config/application.rb": "", "config/cable.yml": "development:\n  adapter: redis\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}

	pages := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cable" {
			<-r.Context().Done() // as long as the client wants
		}
	}
	withApps(t, pages, func(s *appsStand) {
		s.factory.Change(func(script *spawnertest.Script) { script.Concurrency = 1 })
		ask := func(ctx context.Context, path string, options ...string) {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
			fields := append([]string{passwordHeader, testPassword, "X-Passenger-App-Root", dir}, options...)
			r.Header = headers(fields...)
			s.ServeHTTP(httptest.NewRecorder(), r)
		}

		var streams sync.WaitGroup
		defer streams.Wait()
		ctx, cancel := context.WithCancel(s.Context())
		defer cancel()

		for range 3 {
			streams.Go(func() {
				defer func() { require.Equal(s, http.ErrAbortHandler, recover()) }() // the client leaves
				ask(ctx, "/cable", listHeader, "App-Root")
			})
		}

		synctest.Wait()
		ask(s.Context(), "/", listHeader, "App-Root")
		require.Len(s, s.factory.LiveProcesses(), 2, "one for all streams, and one for pages")
		require.Contains(s, s.logged(), "processes of their own take any number of requests")
	})
}

func TestAppsRefuse(t *testing.T) {
	withApps(t, hello, func(s *appsStand) {
		r := httptest.NewRequest(http.MethodPost, "/x", strings.NewReader("body"))

		r.Header = headers(passwordHeader, "wrong-wrong-wrong-wrong", listHeader, "App-Root", "X-Passenger-App-Root",
			"/a")
		for range 5 {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r.Clone(t.Context()))
			require.Equal(t, http.StatusForbidden, w.Code)
			require.Equal(t, "Forbidden\n", w.Body.String())
		}

		require.Equal(t, 1, strings.Count(s.logged(), "requests are refused"))
		require.NotContains(t, s.logged(), "wrong-wrong")
		require.NotContains(t, s.logged(), testPassword)

		w := s.ask("relative/secret/path")
		require.Equal(t, http.StatusInternalServerError, w.Code)
		require.NotContains(t, w.Body.String(), "secret")
		require.Contains(t, s.logged(), "app_root is")

		for range 100 {
			s.ask("relative")
		}

		require.Equal(t, 1, strings.Count(s.logged(), "correct the options"))
		<-time.After(ratelog.Interval)
		s.ask("relative")
		require.Contains(t, s.logged(), `"more"=100`)
		require.Equal(t, 0, s.count())
		require.Empty(t, s.pool.Inspect().Groups)
	})
}

func TestAppsAreBounded(t *testing.T) {
	release := make(chan struct{})
	withApps(t, func(http.ResponseWriter, *http.Request) { <-release }, func(s *appsStand) {
		release = make(chan struct{}) // of this bubble
		s.limit = 3
		var asked sync.WaitGroup

		codes := make(chan int, 10)
		for _, root := range []string{"/1", "/2", "/3"} {
			asked.Go(func() { codes <- s.ask(root).Code })
			synctest.Wait()
		}

		require.Equal(t, http.StatusServiceUnavailable, s.ask("/4").Code, "all have requests")
		require.Equal(t, 3, s.count())
		close(release)
		asked.Wait()

		for range 3 {
			require.Equal(t, http.StatusOK, <-codes)
		}

		require.Equal(t, http.StatusOK, s.ask("/1").Code) // so /2 was not asked for longest

		for i := range 50 {
			require.Equal(t, http.StatusOK, s.ask(fmt.Sprintf("/x%d", i)).Code)
			require.Equal(t, 3, s.count())
		}
	})
}

func TestIdleAppsAreForgotten(t *testing.T) {
	withApps(t, hello, func(s *appsStand) {
		idle := s.cfg.poolIdleTime()
		require.Equal(t, http.StatusOK, s.ask("/a").Code)
		<-time.After(idle + idle/2)
		synctest.Wait()
		require.Equal(t, 1, s.count(), "its group is in the pool")
		require.Len(t, s.pool.Inspect().Groups, 1)
		<-time.After(3 * idle)
		synctest.Wait()
		require.Empty(t, s.pool.Inspect().Groups)
		require.Equal(t, 0, s.count())
		require.Equal(t, http.StatusOK, s.ask("/a").Code)
		require.Equal(t, 1, s.count())
	})
}

func TestAppsPassTheEnvironmentOn(t *testing.T) {
	withApps(t, hello, func(s *appsStand) {
		w := s.ask("/a", listHeader+"-not", "", "X-Passenger-Remote-User", "mallory")
		require.NotContains(t, w.Body.String(), "Envvars", "the client has said who it is, and not the web server")

		r := httptest.NewRequest(http.MethodGet, "/x", nil)
		r.Header = headers(passwordHeader, testPassword, listHeader, "App-Root, Remote-User, Env-Vars",
			"X-Passenger-App-Root", "/a", "X-Passenger-Remote-User", "alice", "X-Passenger-Env-Vars", `{"A":"b"}`)
		recorded := httptest.NewRecorder()
		s.ServeHTTP(recorded, r)

		// As Base64 of names and values with a NUL behind each.
		require.Contains(t, recorded.Body.String(), "QQBiAFJFTU9URV9VU0VSAGFsaWNlAA==")
	})
}

func TestDrainingApps(t *testing.T) {
	withApps(t, hello, func(s *appsStand) {
		require.Equal(t, http.StatusOK, s.ask("/a").Code)
		s.Drain()
		require.Equal(t, http.StatusOK, s.ask("/a").Code, "only what lasts ends")
		require.Equal(t, http.StatusOK, s.ask("/b").Code)
	})
}

// Whatever order they are configured or asked for in.
func TestApplicationsAreListedByTheirNames(t *testing.T) {
	withApps(t, func(http.ResponseWriter, *http.Request) {}, func(s *appsStand) {
		for _, root := range []string{"/srv/b", "/srv/c", "/srv/a", "/srv/b"} {
			s.ask(root)
		}

		want := []string{"/srv/a (production)", "/srv/b (production)", "/srv/c (production)"}
		require.Equal(s, want, namesIn(s.requests()))

		logs := (&Server{site: s.apps}).appLogs()
		require.Len(s, logs, len(want))

		for i, name := range want {
			require.Equal(s, name, logs[i].Name)
		}
	})

	c := &Config{}
	for _, dir := range []string{"/srv/b", "/srv/a"} {
		own := DefaultConfig()
		own.Dir, own.Environment = dir, "test"
		c.Apps = append(c.Apps, HostedApp{Hosts: []string{dir[5:] + ".example"}, Config: &own})
	}

	logs := (&Server{cfg: c}).appLogs()
	require.Len(t, logs, 2)
	require.Equal(t, "/srv/a (test)", logs[0].Name)

	pool := spawnertest.NewPool(t, passenger.Config{})
	h, err := newHosts(c, pool, newCompressor(defaultStaticCache), handler.Config{}, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"/srv/a (test)", "/srv/b (test)"}, namesIn(h.requests()))
}

// What is in front of several applications leaves it to each of them how much less it takes.
func TestLimitsInFrontOfSeveralApplications(t *testing.T) {
	for _, test := range []struct {
		heads, stalls []int // the first one is the server's
		head          int
		stall         time.Duration
	}{
		{[]int{5000}, []int{30}, 5000, 30 * time.Second},
		{[]int{5000, 2000, 9000}, []int{30, 60, 10}, 9000, time.Minute},
		{[]int{5000, 2000}, []int{30, 10}, 5000, 30 * time.Second},
		{[]int{5000, 2000, 3000}, []int{30, 0, 60}, 5000, -1},
		{[]int{5000, 5000}, []int{0, 60}, 5000, -1},
	} {
		c := DefaultConfig()
		c.MaxHeaderSize, c.ClientStallTimeout = test.heads[0], test.stalls[0]

		for i := 1; i < len(test.heads); i++ {
			own := DefaultConfig()
			own.MaxHeaderSize, own.ClientStallTimeout = test.heads[i], test.stalls[i]
			c.Apps = append(c.Apps, HostedApp{Config: &own})
		}

		require.Equal(t, test.head, c.largestHead(), "%+v", test)
		require.Equal(t, test.stall, c.longestStall(), "%+v", test)
	}
}

func namesIn(requests any) (names []string) {
	snapshots, _ := requests.([]handler.Snapshot)
	for i := range snapshots {
		names = append(names, snapshots[i].AppName)
	}

	return names
}
