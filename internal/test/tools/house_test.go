package tools_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// The users of these tests need not exist: the kernel only knows numbers.
const (
	alice = 61001
	bob   = 61002
	carol = 61003
)

// tenants is a factory whose processes run as App.User, which is a number, as far
// as they say.
type tenants struct{ *spawnertest.Factory }

func (f tenants) NewSpawner(app spawner.App) (spawner.Spawner, error) {
	s, err := f.Factory.NewSpawner(app)
	return tenant{s, app.User}, err
}

type tenant struct {
	spawner.Spawner
	user string
}

func (s tenant) Spawn(ctx context.Context) (spawner.Process, error) {
	p, err := s.Spawner.Spawn(ctx)
	if err != nil {
		return nil, err
	}

	info := *p.Info()
	if info.UID, err = strconv.Atoi(s.user); err != nil {
		return nil, err
	}

	return &tenantProcess{p, &info}, nil
}

type tenantProcess struct {
	spawner.Process
	info *spawner.Info
}

func (p *tenantProcess) Info() *spawner.Info { return p.info }

// house is an instance of this process, with any number of applications.
type house struct {
	*box
	pool *passenger.Pool
	dir  *instancedir.Dir
}

// open makes an instance in the box. Without apps, its pool is empty.
func (b *box) open(t testing.TB, apps ...passenger.Options) *house {
	t.Helper()
	h := &house{box: b, dir: b.create(t)}
	pool, err := passenger.New(passenger.Config{
		MaxPoolSize: len(apps) + 1,
		Spawner:     tenants{spawnertest.New(spawnertest.Script{})},
	})
	require.NoError(t, err)
	h.pool = pool
	t.Cleanup(func() { require.NoError(t, pool.Close()) })

	for i := range apps {
		s, err := pool.Get(t.Context(), &apps[i])
		require.NoError(t, err)
		s.Close(passenger.KeepAlive)
	}

	l := listen(t, h.dir.Socket(instancedir.CoreAPI))
	api, err := apiserver.New(apiserver.Config{Pool: pool, Accounts: []apiserver.Account{
		{Name: instancedir.FullAccount, Password: h.dir.FullPassword(), Level: apiserver.Full},
		{Name: instancedir.ReadOnlyAccount, Password: h.dir.ReadOnlyPassword(), Level: apiserver.ReadOnly},
	}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- apiserver.Serve(ctx, l, api, logr.Discard()) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-served)
	})

	return h
}

// create makes an instance directory.
func (b *box) create(t testing.TB) *instancedir.Dir {
	t.Helper()
	dir, err := instancedir.Create(instancedir.Config{
		Registry:        b.registry,
		Version:         passenger.Version,
		IntegrationMode: "standalone",
		ServerSoftware:  "test/1",
		UserSwitching:   true,
		UID:             os.Geteuid(),
		GID:             os.Getegid(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dir.Remove()) })
	require.NoError(t, dir.WritePID(instancedir.Core, os.Getpid()))
	require.NoError(t, dir.Finalize())

	return dir
}

func listen(t testing.TB, path string) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(path, 0o666))

	return l
}

// app is an application of a user's.
func app(name string, uid int) passenger.Options {
	return passenger.Options{
		App:          spawner.App{Root: "/apps/" + name, GroupName: name, User: strconv.Itoa(uid)},
		MinProcesses: 1,
	}
}

// many are n applications.
func many(n int) (apps []passenger.Options) {
	for i := range n {
		apps = append(apps, app(fmt.Sprintf("app%04d", i), alice))
	}

	return apps
}
