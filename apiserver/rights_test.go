package apiserver_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// who are the callers of the table, as bits.
type who uint16

const (
	anonymous who = 1 << iota
	wrong
	wrongKey
	swapped // an account with another's password
	shorter // a part of a right password
	asAPI   // an account's password as an API key
	readOnly
	full
	keyOfShop
	keyOfBlog

	everybody    = full<<3 - 1
	accountsOnly = readOnly | full
	tenants      = keyOfShop | keyOfBlog
)

// credentials of the callers, in their order.
func (h *house) credentials() [][2]string {
	h.Helper()

	return [][2]string{
		{"", ""},
		{"admin", "guess"},
		{"api", "AAAAAAAAAAAAAAAA"},
		{"admin", readOnlyPassword},
		{"admin", fullPassword[:len(fullPassword)-1]},
		{"api", fullPassword},
		{"ro_admin", readOnlyPassword},
		{"admin", fullPassword},
		{"api", h.group("shop").APIKey},
		{"api", h.group("blog").APIKey},
	}
}

// routesOfCore are all routes, with who gets which status; the others are
// not authorized.
var routesOfCore = []struct {
	method, path, body string
	allowed            who
	status             int
}{
	{"GET", "/server.json", "", accountsOnly, 200},
	{"DELETE", "/server/1-2.json", "", full, 200},
	{"GET", "/pool.txt?colorize=true&verbose=", "", accountsOnly | tenants, 200},
	{"GET", "/pool.xml?secrets=true", "", accountsOnly | tenants, 200},
	{"GET", "/pool.json?secrets=false", "", accountsOnly | tenants, 200},
	{"GET", "/pool/errors.txt", "", accountsOnly | tenants, 200},
	{"GET", "/pool/errors.json", "", accountsOnly | tenants, 200},
	{"HEAD", "/pool.json", "", accountsOnly | tenants, 200},
	{"POST", "/pool/restart_app_group.json", `{"name":"shop"}`, full | keyOfShop, 200},
	{"POST", "/pool/restart_app_group.json", `{"name":"none"}`, full, 200},
	{"POST", "/pool/restart_app_group.json", `{"name":""}`, full | tenants, 400},
	{"POST", "/pool/detach_process.json", `{"pid":999999}`, full | tenants, 200},
	{"POST", "/pool/detach_process.json", `{`, full | tenants, 422},
	{"POST", "/pool/backtraces.json", `{"pid":0}`, full | tenants, 400},
	{"GET", "/incidents.json", "", accountsOnly, 200},
	{"GET", "/incidents/1.json", "", accountsOnly, 404},
	{"GET", "/backtraces.txt", "", accountsOnly, 200},
	{"GET", "/ping.json", "", accountsOnly | tenants, 200},
	{"GET", "/info.json", "", accountsOnly | tenants, 200},
	{"GET", "/version.json", "", accountsOnly | tenants, 200},
	{"GET", "/config.json", "", accountsOnly, 200},
	{"PUT", "/config.json", `{"log_level":4}`, full, 200},
	{"PUT", "/gc.json", "", full, 200},
	{"POST", "/shutdown.json", "", full, 200},
	{"POST", "/reinherit_logs.json", "", full, 200},
	{"POST", "/reopen_logs.json", "", full, 200},
	{"GET", "/metrics", "", accountsOnly, 200},
	{"GET", "/livez", "", everybody, 200},
	{"GET", "/readyz", "", everybody, 503},
}

func requireUnauthorized(t *testing.T, a reply, what string) {
	t.Helper()
	require.Equal(t, http.StatusUnauthorized, a.Status, what)
	require.Equal(t, `Basic realm="api"`, a.Header.Get("WWW-Authenticate"))
	require.Empty(t, a.Header.Get("Pool-Empty"))
	if a.Header.Get("Content-Length") == "12" && a.Body != "" {
		require.Equal(t, "Unauthorized", a.Body)
	}
}

// checkRoutes makes every call of the table with all credentials.
func (h *house) checkRoutes(call func(request) reply, q request) {
	h.Helper()

	for i, credentials := range h.credentials() {
		for _, route := range routesOfCore {
			q.Method, q.Path, q.Body = route.method, route.path, route.body
			q.Name, q.Password = credentials[0], credentials[1]
			what := q.Method + " " + q.Path + " " + q.Body + " by " + q.Name
			h.noted()
			a := call(q)
			if route.allowed&(1<<i) == 0 {
				requireUnauthorized(h.T, a, what)
				require.Empty(h, h.noted(), what)
				continue
			}

			require.Equal(h, route.status, a.Status, what+a.Body)
			require.Equal(h, "no-cache, no-store, must-revalidate", a.Header.Get("Cache-Control"))
			if strings.Contains(a.Header.Get("Content-Type"), "json") && route.method != "HEAD" {
				require.True(h, json.Valid([]byte(a.Body)), what)
			}
		}
	}
}

// Faults.
func TestEveryRouteAsksForItsPassword(t *testing.T) {
	h := newHouse(t).tenants()
	h.checkRoutes(h.call, request{Network: "tcp", Address: h.onTCP()})
}

// Faults: R-19.
func TestEveryRouteAsksStrangersForItsPassword(t *testing.T) {
	h := newHouse(t).tenants().onUnix()
	user := becomes(t, carol)
	call := func(q request) reply {
		a := user.call(q)
		h.awaitShutdown(&q, &a)
		return a
	}
	h.checkRoutes(call, request{Network: "unix", Address: h.socket})
}

// TestPeersRights: the kernel says who calls.
// Faults: R-56.
func TestPeersRights(t *testing.T) {
	h := newHouse(t).tenants().onUnix()
	for _, route := range routesOfCore {
		a := h.ask(route.method, route.path, route.body)
		require.Equal(t, route.status, a.Status, route.path)
	}

	for uid, key := range map[int]who{alice: keyOfShop, bob: keyOfBlog} {
		user := becomes(t, uid)
		for _, route := range routesOfCore {
			q := h.get(route.path)
			q.Method, q.Body = route.method, route.body
			a := user.call(q)
			if route.allowed&key == 0 {
				requireUnauthorized(t, a, route.path)
				continue
			}

			require.Equal(t, route.status, a.Status, route.path)
		}

		// What password and user allow adds up, and a wrong one takes nothing.
		q := h.get("/pool.json")
		q.Name, q.Password = "admin", "guess"
		require.Equal(t, http.StatusOK, user.call(q).Status)
		q.Name, q.Password = "api", h.group("shop").APIKey
		require.Contains(t, user.call(q).Body, `"/apps/shop"`)
		q.Method, q.Path, q.Body = "POST", "/pool/restart_app_group.json", `{"name":"shop"}`
		require.Equal(t, http.StatusOK, user.call(q).Status)
	}
}

// requireSees checks which directories' applications a response tells of.
func requireSees(t *testing.T, body string, sees ...string) {
	t.Helper()

	for _, root := range []string{"shop", "blog", "twin-alice", "twin-bob"} {
		want := false
		for _, s := range sees {
			want = want || s == root
		}

		require.Equal(t, want, strings.Contains(body, "/apps/"+root), root+" in\n"+body)
	}
}

// everybodys are all applications; Passenger's form in JSON has room for one of each
// name.
func everybodys(path string) []string {
	all := []string{"shop", "blog", "twin-alice", "twin-bob"}
	if path == "/pool.json?secrets=true" {
		return all[:3]
	}

	return all
}

// viewsWithSecrets are the paths that show the secrets of the pool to those who may see them.
var viewsWithSecrets = []string{
	"/pool.txt?verbose=true",
	"/pool.xml?secrets=true",
	"/pool.json?secrets=true",
	"/pool.json?form=snapshot",
}

func TestTenantsSeeOnlyTheirs(t *testing.T) {
	h := newHouse(t).tenants().onUnix()
	user := becomes(t, alice)
	tcp := h.onTCP()

	password := "password-1000" // of the first process, shop's
	for _, path := range viewsWithSecrets {
		a := user.call(h.get(path))
		requireSees(t, a.Body, "shop", "twin-alice")
		require.NotContains(t, a.Body, h.group("blog").APIKey)
		require.NotContains(t, a.Body, "password-1001")
		if !strings.Contains(path, "json") {
			require.Contains(t, a.Body, password)
		}

		a = h.call(getOnTCP(tcp, path, "api", h.group("twin-bob").APIKey))
		requireSees(t, a.Body, "twin-bob")
		a = h.ask("GET", path, "")
		requireSees(t, a.Body, everybodys(path)...)
	}

	a := user.call(h.get("/pool.txt"))
	require.Contains(t, a.Body, "Max pool size : 20\nApp groups    : 2\nProcesses     : 2\n")
}

func TestTenantsSeeOnlyTheirFailedStarts(t *testing.T) {
	h := newHouse(t).tenants().onUnix()
	h.factory.Change(func(s *spawnertest.Script) {
		s.BeforeSpawn = func(_ context.Context, _ int, app spawner.App) error {
			return &spawner.SpawnError{
				ID:      "0badcafe",
				AppName: app.Name(),
				AppRoot: app.Root,
				Summary: "no start in " + app.Root,
				Output:  "what it printed",
			}
		}
	})

	for _, app := range h.pool.Identities() {
		_, wait, err := h.pool.BeginRestart(app.Name, passenger.RestartOptions{
			Method:  passenger.RestartRolling,
			Allowed: func(other passenger.AppIdentity) bool { return other == app },
		})
		require.NoError(t, err)
		require.Error(t, wait(t.Context()))
	}

	user, tcp := becomes(t, alice), h.onTCP()
	for _, path := range []string{"/pool/errors.txt", "/pool/errors.json"} {
		sees := func(a reply, roots ...string) {
			require.Equal(t, 200, a.Status)

			for _, root := range []string{"shop", "blog", "twin-alice", "twin-bob"} {
				shown := strings.Contains(a.Body, "no start in /apps/"+root)
				require.Equal(t, slices.Contains(roots, root), shown, a.Body)
			}

			require.Contains(t, a.Body, "what it printed")
		}
		sees(user.call(h.get(path)), "shop", "twin-alice")
		sees(h.call(getOnTCP(tcp, path, "api", h.group("twin-bob").APIKey)), "twin-bob")
		sees(h.ask("GET", path, ""), "shop", "blog", "twin-alice", "twin-bob")
	}
}

// TestReadOnlySeesNoSecrets: an API key would let it do more than read.
func TestReadOnlySeesNoSecrets(t *testing.T) {
	h := newHouse(t).tenants()

	tcp := h.onTCP()
	for _, path := range viewsWithSecrets {
		q := getOnTCP(tcp, path, "ro_admin", readOnlyPassword)
		a := h.call(q)
		requireSees(t, a.Body, everybodys(path)...)

		for _, secret := range []string{"assword", "api_key", h.group("shop").APIKey, "URL "} {
			require.NotContains(t, a.Body, secret)
		}

		q.Name, q.Password = "admin", fullPassword
		a = h.call(q)
		require.Equal(t, !strings.Contains(path, "json"), strings.Contains(a.Body, "password-1000"), path)
		require.Equal(t, strings.Contains(path, "xml"), strings.Contains(a.Body, h.group("shop").APIKey), path)
	}
}

// Faults: G15.
func TestRestartLeavesNamesakeOfAnotherUserAlone(t *testing.T) {
	h := newHouse(t).tenants().onUnix()
	restart := request{
		Network: "unix", Address: h.socket, Method: "POST", Path: "/pool/restart_app_group.json",
		Body: `{"name":"twin","restart_method":"blocking","wait":true}`,
	}
	generations := func() [2]uint32 {
		return [2]uint32{h.group("twin-alice").Generation, h.group("twin-bob").Generation}
	}

	a := h.call(restart)
	require.JSONEq(t, `{"restarted":true}`, a.Body)
	require.Equal(t, [2]uint32{1, 1}, generations())
	byKey := restart
	byKey.Network, byKey.Address, byKey.Name, byKey.Password = "tcp", h.onTCP(), "api", h.group("twin-bob").APIKey
	require.JSONEq(t, `{"restarted":true}`, h.call(byKey).Body)
	require.Equal(t, [2]uint32{1, 2}, generations())
	require.JSONEq(t, `{"restarted":true}`, becomes(t, alice).call(restart).Body)
	require.Equal(t, [2]uint32{2, 2}, generations())
	requireUnauthorized(t, becomes(t, carol).call(restart), "a stranger")
	require.Equal(t, [2]uint32{2, 2}, generations())
}

// Faults: G15.
func TestDetachRefusesForeignAndUnknownProcesses(t *testing.T) {
	h := newHouse(t).tenants().onUnix()
	tcp := h.onTCP()
	pid := func(root string) int { return h.group(root).Processes[0].PID }
	detach := func(root, as string) string {
		body, err := json.Marshal(map[string]int{"pid": pid(root)})
		require.NoError(t, err)
		a := h.call(request{
			Network: "tcp", Address: tcp, Method: "POST", Path: "/pool/detach_process.json", Body: string(body),
			Name: "api", Password: h.group(as).APIKey,
		})
		require.Equal(t, http.StatusOK, a.Status)

		return a.Body
	}
	before := pid("blog")
	require.JSONEq(t, `{"detached":false}`, detach("blog", "shop"))
	require.Equal(t, before, pid("blog"))
	require.JSONEq(t, `{"detached":true}`, detach("blog", "blog"))

	// Until another one is there, it may still be the first.
	require.Eventually(t, func() bool {
		processes := h.group("blog").Processes
		return len(processes) > 0 && processes[0].PID != before
	}, patience, time.Millisecond)
	require.JSONEq(t, `{"detached":false}`, h.ask("POST", "/pool/detach_process.json", `{"pid":1}`).Body)
}

func TestPoolEmpty(t *testing.T) {
	h := newHouse(t).onUnix()
	user := becomes(t, carol)

	tcp := h.onTCP()
	for path, says := range map[string]string{
		"/pool.txt":    "true",
		"/pool.xml":    "true",
		"/pool.json":   "true",
		"/server.json": "",
		"/ping.json":   "",
	} {
		a := user.call(h.get(path))
		require.Equal(t, http.StatusUnauthorized, a.Status)
		require.Equal(t, says, a.Header.Get("Pool-Empty"), path)
		require.Empty(t, h.call(getOnTCP(tcp, path, "", "")).Header.Get("Pool-Empty"))
	}

	h.start(app("shop", "shop", alice))
	requireUnauthorized(t, user.call(h.get("/pool.txt")), "")
}

// TestOfUnknownOwner: no user owns an application that has had no process.
func TestOfUnknownOwner(t *testing.T) {
	h := newHouse(t).onUnix()
	starting := make(chan struct{})
	h.factory.Change(func(s *spawnertest.Script) { s.BeforeSpawn = blockUntil(starting) })
	stop := h.pool.AsyncGet(app("shop", "shop", alice), func(s *passenger.Session, err error) {
		if err == nil {
			s.Close(passenger.KeepAlive)
		}
	})
	require.Equal(t, -1, h.group("shop").UID)

	q := h.get("/pool.txt")
	for _, uid := range []int{alice, 1<<32 - 2} {
		requireUnauthorized(t, becomes(t, uid).call(q), "no process yet")
	}

	require.Equal(t, http.StatusOK, h.call(q).Status)
	stop()
	close(starting)
}

func TestAllowAnyone(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*apiserver.Config)
		status int
	}{
		{"neither accounts nor leave", func(c *apiserver.Config) { c.Accounts = nil }, 401},
		{"leave", func(c *apiserver.Config) { c.Accounts, c.AllowAnyone = nil, true }, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHouse(t, test.change)
			a := h.call(request{Network: "tcp", Address: h.onTCP(), Method: "POST", Path: "/shutdown.json"})
			require.Equal(t, test.status, a.Status)
			h.onUnix()
			require.Equal(t, 200, h.ask("GET", "/pool.txt", "").Status)
			if os.Geteuid() == 0 {
				requireUnauthorized(t, becomes(t, carol).call(h.get("/server.json")), test.name)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	cfg := apiserver.Config{Accounts: []apiserver.Account{
		{Password: "p"},
		{Name: "api", Password: "p"},
		{Name: "empty"},
		{Name: "level", Password: "p", Level: 7},
		{Name: "two", Password: "first", Level: apiserver.Full},
		{Name: "two", Password: "second", Level: apiserver.Full},
		{Name: "a:b", Password: "p"},
	}, AllowAnyone: true}

	err := cfg.Validate()
	for _, part := range []string{
		"Pool: the API has no pool to show: set the one of passenger.New",
		"Accounts[0].Name: an account of the API has no name: give it one",
		`Accounts[1].Name: the name "api" is for API keys: give the account another one`,
		`Accounts[2].Password: the account "empty" of the API has no password: give it one`,
		`Accounts[3].Level: the level 7 of the account "level" does not exist: use ReadOnly or Full`,
		`Accounts[5].Name: there are several accounts "two": give each another name`,
		`Accounts[6].Name: the name "a:b" has a colon, which no client can send`,
		"AllowAnyone: there are accounts, so not anyone can be allowed: use either",
	} {
		require.ErrorContains(t, err, part)
	}

	require.NotContains(t, err.Error(), "first")
	watchdog := apiserver.WatchdogConfig{Accounts: cfg.Accounts[:1]}
	require.ErrorContains(t, watchdog.Validate(), "has no name")
	require.NoError(t, (&apiserver.WatchdogConfig{}).Validate())

	server, err := apiserver.New(cfg)
	require.Nil(t, server)
	require.EqualError(t, err, cfg.Validate().Error())
	server, err = apiserver.NewWatchdog(watchdog)
	require.Nil(t, server)
	require.EqualError(t, err, watchdog.Validate().Error())
}

// blockUntil lets no process start before.
func blockUntil(ch <-chan struct{}) func(context.Context, int, spawner.App) error {
	return func(ctx context.Context, _ int, _ spawner.App) error {
		select {
		case <-ch:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
