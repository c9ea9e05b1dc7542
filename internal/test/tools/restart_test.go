package tools_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/admin"
)

// A rolling restart under requests loses none.
func TestRestartAppRollingUnderRequests(t *testing.T) {
	t.Parallel()
	const clients = 4
	s := newBox(t).start(t, "--min-instances", "3")
	before := s.pids(t, 3)
	stop := make(chan struct{})
	var asking sync.WaitGroup

	var served atomic.Int64
	for range clients {
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}

				if _, err := s.ask(t.Context()); err != nil {
					t.Errorf("a request was lost: %v", err)
					return
				}

				served.Add(1)
			}
		})
	}

	for range 3 {
		r := s.run(t, "passenger-config", "restart-app", s.dir, "--rolling-restart", "--wait")
		require.Zero(t, r.status, r.stderr)
		require.Regexp(t, "^Restarting "+regexp.QuoteMeta(s.name)+"\nRestarted "+regexp.QuoteMeta(s.name)+
			`: 3 of 3 processes replaced in \d+\.\d s\n$`, r.stdout)

		after := s.pids(t, 3)
		for pid := range before {
			require.NotContains(t, after, pid)
		}

		before = after
	}

	close(stop)
	asking.Wait()
	require.Positive(t, served.Load())
}

// pids are the processes that take requests, of which there are to be n.
func (s *server) pids(t testing.TB, n int) map[int]bool {
	t.Helper()
	var pids map[int]bool
	eventually(t, func() error {
		pids = map[int]bool{}
		client, err := admin.Client(s.instance(t), "core_api", "admin")
		if err != nil {
			return err
		}

		pool, err := client.Pool(t.Context())
		if err != nil {
			return err
		}

		for _, g := range pool.Groups {
			for _, p := range g.Processes {
				if p.State == "enabled" {
					pids[p.PID] = true
				}
			}
		}

		if len(pids) != n {
			return errors.New("not all processes have started")
		}

		return nil
	})

	return pids
}

// restartEnded is how a restart ends, which depends on what else restarts the application.
var restartEnded = regexp.MustCompile(`\d of \d processes replaced in \d+\.\d s|no process ran.*`)

func TestRestartAppSelects(t *testing.T) {
	t.Parallel()
	h := newBox(t).open(t, app("shop", alice), app("shop2", alice), app("blog", bob))
	missing := func(path string) string {
		return "There are no Passenger-served applications running whose paths begin with '" + path + "'.\n"
	}

	const running = "These applications are running:\n  blog in /apps/blog\n  shop in /apps/shop\n  shop2 in " +
		"/apps/shop2\n"
	for _, test := range []struct {
		name           string
		args           []string
		stdout, stderr string
		status         int
	}{
		{"a prefix is plain", []string{"/apps/shop"}, "Restarting shop\nRestarting shop2\n", "", 0},
		{"all", []string{"/"}, "Restarting blog\nRestarting shop\nRestarting shop2\n", "", 0},
		{"a name is exact", []string{"--name", "shop"}, "Restarting shop\n", "", 0},
		{
			"rolling",
			[]string{"--name", "blog", "--rolling-restart", "--wait"},
			"Restarting blog\nRestarted blog: ENDED\n", "", 0,
		},
		{
			"blocking",
			[]string{"--name", "blog", "--blocking-restart", "--wait"},
			"Restarting blog\nRestarted blog: ENDED\n", "", 0,
		},
		{"no such path", []string{"/other"}, "", missing("/other") + running, 1},
		{"this directory", []string{"."}, "", missing(h.registry) + running, 1},
		{
			"no such name",
			[]string{"--name", "sho"},
			"",
			"There is no Passenger-served application running with the app group name 'sho'.\n" + running, 1,
		},
		{
			"an empty name",
			[]string{"--name", ""},
			"",
			"There is no Passenger-served application running with the app group name ''.\n" + running, 1,
		},
		{"may be missing", []string{"/other", "--ignore-app-not-running"}, "", missing("/other"), 0},
		{"a slash at the end", []string{"/apps/shop/"}, "Restarting shop\n", "", 0},
		{"not clean", []string{"/apps/../apps//./blog/"}, "Restarting blog\n", "", 0},
		{"nearly", []string{"/apps/blogg", "--ignore-app-not-running"}, "", missing("/apps/blogg") +
			"Did you mean blog in /apps/blog?\n", 0},
		{"below", []string{"/apps/shop/tmp", "--ignore-app-not-running"}, "", missing("/apps/shop/tmp") +
			"Did you mean shop in /apps/shop?\n", 0},
		{
			"nearly a name",
			[]string{"--name", "Blog", "--ignore-app-not-running"},
			"",
			"There is no Passenger-served application running with the app group name 'Blog'.\nDid you mean blog in " +
				"/apps/blog?\n",
			0,
		},
		{"nothing", nil, "", "Please pass either an app path prefix or an app group name. See 'passenger-config " +
			"restart-app --help' for more information.\n", 1},
		{"an empty path", []string{""}, "", "The app path prefix is empty. To restart all applications, pass /.\n", 1},
		{
			"both",
			[]string{"/apps", "--name", "x"},
			"",
			"You've passed an app path prefix as well as --name. Please use one of them. See 'passenger-config " +
				"restart-app --help' for more information.\n", 1,
		},
		{
			"unknown instance",
			[]string{"/apps", "--instance", "q-"},
			"",
			"ERROR: there doesn't seem to be a Passenger instance running with the name 'q-'.\n", 1,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := h.run(t, "passenger-config", append([]string{"restart-app"}, test.args...)...)
			require.Equal(t, test.status, r.status, r.stderr)
			require.Equal(t, test.stdout, restartEnded.ReplaceAllString(r.stdout, "ENDED"))
			require.Equal(t, test.stderr, r.stderr)
		})
	}

	r := h.run(t, "passenger", "restart-app", "/apps/shop", "--json")
	var results []struct {
		Name      string
		Restarted bool
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &results))
	require.Len(t, results, 2)
	require.True(t, results[0].Restarted)
}

func TestRestartAppIsTenantsOwn(t *testing.T) {
	t.Parallel()
	needRoot(t)
	h := newBox(t).open(t, app("shop", alice), app("blog", bob))
	r := h.runAs(t, alice, "passenger-config", "restart-app", "/apps")
	require.Zero(t, r.status, r.stderr)
	require.Equal(t, "Restarting shop\n", r.stdout)
	r = h.runAs(t, alice, "passenger-config", "restart-app", "--name", "blog")
	require.Equal(t, 1, r.status)
	require.Contains(t, r.stderr, "There is no Passenger-served application running with the app group name 'blog'.")
	r = h.runAs(t, carol, "passenger-config", "restart-app", "/apps")
	require.Equal(t, 1, r.status)
	require.Equal(t, "*** ERROR: You are not authorized to perform this particular administration command on this "+
		"Passenger instance. Please try again with 'sudo'.\n", r.stderr)
	generation := func(name string) uint32 {
		for _, g := range h.pool.Inspect().Groups {
			if g.Name == name {
				return g.Generation
			}
		}

		return 1000
	}
	require.Equal(t, uint32(1), generation("shop"))
	require.Zero(t, generation("blog"))
}

// --wait tells why new processes do not start; the old ones serve on.
func TestRestartAppWaitsAndFails(t *testing.T) {
	t.Parallel()
	s := newBox(t).start(t)
	broken := filepath.Join(s.dir, "broken")
	require.NoError(t, os.WriteFile(broken, nil, 0o600))
	r := s.run(t, "passenger-config", "restart-app", s.dir, "--rolling-restart", "--wait")
	require.Equal(t, 1, r.status)
	require.Equal(t, "Restarting "+s.name+"\n", r.stdout)
	require.Contains(t, r.stderr, "*** ERROR: "+s.name+" has no new processes: ")
	require.Positive(t, s.get(t))
	r = s.run(t, "passenger-config", "restart-app", s.dir, "--rolling-restart", "--wait", "--json")
	require.Equal(t, 1, r.status)
	require.Contains(t, r.stdout, `"restarted": false`)
	require.Empty(t, r.stderr)
	require.NoError(t, os.Remove(broken))
	require.Zero(t, s.run(t, "passenger-config", "restart-app", s.dir, "--rolling-restart", "--wait").status)
}

func TestConfigWithoutInstance(t *testing.T) {
	t.Parallel()

	b := newBox(t)
	for _, args := range [][]string{
		{"restart-app", "/apps"},
		{"detach-process", "77"},
		{"reopen-logs"},
		{"reload"},
		{"api-call", http.MethodGet, "/ping.json"},
	} {
		r := b.run(t, "passenger-config", args...)
		require.Equal(t, 1, r.status, args)
		require.Contains(t, r.stderr, "*** ERROR: Passenger doesn't seem to be running.")
		require.Empty(t, r.stdout)
		if args[0] == "api-call" {
			continue
		}

		r = b.run(t, "passenger-config", append(args, "--ignore-passenger-not-running")...)
		require.Zero(t, r.status, args)
		require.Contains(t, r.stderr, "*** WARNING: Passenger doesn't seem to be running.")
		require.Empty(t, r.stdout)
	}
}

// What is no error is JSON.
func TestConfigWithoutInstanceInJSON(t *testing.T) {
	t.Parallel()

	b := newBox(t)
	for want, args := range map[string][]string{
		`[]`:                          {"restart-app", "/apps"},
		`{"pid":77,"detached":false}`: {"detach-process", "77"},
	} {
		r := b.run(t, "passenger-config", append(args, "--ignore-passenger-not-running", "--json")...)
		require.Zero(t, r.status, args)
		require.JSONEq(t, want, r.stdout)
	}
}
