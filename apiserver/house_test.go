package apiserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/internal/test/logged"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// tenantFactory is a factory whose processes run as App.User, which is a number,
// as far as they say.
type tenantFactory struct{ *spawnertest.Factory }

func (f tenantFactory) NewSpawner(app spawner.App) (spawner.Spawner, error) {
	s, err := f.Factory.NewSpawner(app)
	return tenantSpawner{s, app.User}, err
}

type tenantSpawner struct {
	spawner.Spawner
	user string
}

func (s tenantSpawner) Spawn(ctx context.Context) (spawner.Process, error) {
	p, err := s.Spawner.Spawn(ctx)
	if err != nil {
		return nil, err
	}

	info := *p.Info()
	if uid, err := strconv.Atoi(s.user); err == nil {
		info.UID = uid
	}

	info.OtherSockets = []loaderproto.Socket{{
		Name:     "http",
		Protocol: "http",
		Address:  loaderproto.Address{Network: "tcp", Addr: "127.0.0.1:1"},
	}}

	return &tenantProcess{p, &info}, nil
}

type tenantProcess struct {
	spawner.Process
	info *spawner.Info
}

func (p *tenantProcess) Info() *spawner.Info { return p.info }

const (
	readOnlyPassword = "read-only-password-1234"
	fullPassword     = "full-password-123456789"
)

func accounts() []apiserver.Account {
	return []apiserver.Account{
		{Name: "ro_admin", Password: readOnlyPassword, Level: apiserver.ReadOnly},
		{Name: "admin", Password: fullPassword, Level: apiserver.Full},
	}
}

// house is a server with a pool of alice's and bob's applications, whose log can
// be read.
type house struct {
	*testing.T
	pool    *passenger.Pool
	factory *spawnertest.Factory
	server  *apiserver.Server
	socket  string
	log     logged.Buffer
	// done are the calls of the configuration's functions but Shutdown, which
	// comes after its response and fills shut.
	mu   sync.Mutex
	done []string
	shut chan struct{}
}

func newHouse(t *testing.T, change ...func(*apiserver.Config)) *house {
	t.Helper()
	h := &house{T: t, factory: spawnertest.New(spawnertest.Script{}), shut: make(chan struct{}, 1)}
	pool, err := passenger.New(passenger.Config{MaxPoolSize: 20, Spawner: tenantFactory{h.factory}, SelfChecks: true})
	require.NoError(t, err)
	h.pool = pool
	t.Cleanup(func() { require.NoError(t, pool.Close()) })

	cfg := h.config()
	for _, f := range change {
		f(&cfg)
	}

	h.server, err = apiserver.New(cfg)
	require.NoError(t, err)

	return h
}

func (h *house) config() apiserver.Config {
	note := func(format string, args ...any) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.done = append(h.done, fmt.Sprintf(format, args...))
	}

	return apiserver.Config{
		Pool:     h.pool,
		Accounts: accounts(),
		Logger:   h.log.Logger(),
		Requests: func() any { return map[string]int{"threads": 1} },
		DisconnectClient: func(id string) bool {
			note("disconnect %s", id)
			return id == "1-2"
		},
		Settings: func() map[string]any { return map[string]any{"log_level": 3} },
		ChangeSettings: func(changes map[string]json.RawMessage) error {
			if level, ok := changes["log_level"]; ok {
				note("log_level %s", level)
				return nil
			}

			return errors.New("there is no such setting")
		},
		FreeMemory: func() { note("gc") },
		Shutdown:   func() { h.shut <- struct{}{} },
		ReopenLogs: func() error { note("logs"); return nil },
		Ready:      func() error { return errors.New("the disk is full") },
	}
}

func (h *house) noted() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	done := h.done
	h.done = nil

	return done
}

// app is an application of a user's, in a directory.
func app(name, root string, uid int) *passenger.Options {
	return &passenger.Options{
		App:          spawner.App{Root: "/apps/" + root, GroupName: name, User: strconv.Itoa(uid)},
		MinProcesses: 1,
	}
}

// start makes an application have a process.
func (h *house) start(o *passenger.Options) {
	h.Helper()
	s, err := h.pool.Get(h.Context(), o)
	require.NoError(h, err)
	s.Close(passenger.KeepAlive)
}

// tenants are the applications of alice and bob, and two of one name.
func (h *house) tenants() *house {
	h.Helper()
	h.start(app("shop", "shop", alice))
	h.start(app("blog", "blog", bob))
	h.start(app("twin", "twin-alice", alice))
	h.start(app("twin", "twin-bob", bob))

	return h
}

func (h *house) group(root string) passenger.GroupSnapshot {
	h.Helper()

	for _, g := range h.pool.Inspect().Groups {
		if g.AppRoot == "/apps/"+root {
			return g
		}
	}

	require.Fail(h, "no such application", root)

	return passenger.GroupSnapshot{}
}

// onUnix serves on a socket that every user may connect to.
func (h *house) onUnix() *house {
	h.Helper()
	dir, err := os.MkdirTemp("", "api")
	require.NoError(h, err)
	h.Cleanup(func() { require.NoError(h, os.RemoveAll(dir)) })
	require.NoError(h, os.Chmod(dir, 0o755))
	h.socket = filepath.Join(dir, "api")
	l, err := net.Listen("unix", h.socket)
	require.NoError(h, err)
	require.NoError(h, os.Chmod(h.socket, 0o666))
	h.serve(l)

	return h
}

// onTCP serves where no peer is known, and returns the address.
func (h *house) onTCP() string {
	h.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(h, err)
	h.serve(l)

	return l.Addr().String()
}

func (h *house) serve(l net.Listener) {
	serve(h.T, l, h.server, h.log.Logger())
}

// serve ends with the test.
func serve(t *testing.T, l net.Listener, s *apiserver.Server, log logr.Logger) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- apiserver.Serve(ctx, l, s, log) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-result)
	})
}

// call is one of who runs the tests.
func (h *house) call(q request) reply {
	h.Helper()
	a := perform(h.Context(), &q)
	require.Empty(h, a.Err)
	h.awaitShutdown(&q, &a)

	return a
}

func (h *house) awaitShutdown(q *request, a *reply) {
	h.Helper()
	if q.Path != "/shutdown.json" || a.Status != http.StatusOK {
		return
	}

	select {
	case <-h.shut:
	case <-time.After(patience):
		require.Fail(h, "the program is not shut down")
	}
}

// get asks for a path on the Unix socket.
func (h *house) get(path string) request {
	return request{Network: "unix", Address: h.socket, Method: "GET", Path: path}
}

// getOnTCP asks for a path as an account, which may be none.
func getOnTCP(address, path, name, password string) request {
	return request{Network: "tcp", Address: address, Method: "GET", Path: path, Name: name, Password: password}
}

// ask is a call of who runs the tests, on the Unix socket.
func (h *house) ask(method, path, body string) reply {
	h.Helper()

	return h.call(request{
		Network: "unix",
		Address: h.socket,
		Method:  method,
		Path:    path,
		Body:    body,
	})
}
