package passenger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// A value that is none of an option's is an error that names it and those that there are, and stands for no other one.
func TestValuesOutsideAnEnumerationAreRefused(t *testing.T) {
	app := func(change func(a *spawner.App)) error {
		a := spawner.App{Root: "/srv/shop"}
		change(&a)
		require.NoError(t, (&spawner.App{Root: a.Root}).Validate())

		return a.Validate()
	}

	for name, test := range map[string]struct {
		err  func(pool *passenger.Pool) error
		says []string
	}{
		"RestartOptions.Method": {func(pool *passenger.Pool) error {
			_, _, err := pool.BeginRestart("shop", passenger.RestartOptions{Method: 99})
			return err
		}, []string{"99", "RestartDefault, RestartRolling or RestartBlocking"}},
		"RestartOptions.Method, by name": {func(pool *passenger.Pool) error {
			return pool.Restart(t.Context(), "shop", passenger.RestartOptions{Method: 3})
		}, []string{"3"}},
		"RestartOptions.Method, by directory": {func(pool *passenger.Pool) error {
			_, err := pool.RestartAppRoot(t.Context(), "/srv/shop", passenger.RestartOptions{Method: 3})
			return err
		}, []string{"3"}},
		"App.LogLevel": {func(*passenger.Pool) error {
			return app(func(a *spawner.App) { a.LogLevel = 99 })
		}, []string{"99", "0 to 7"}},
		"App.LogLevel, negative": {func(*passenger.Pool) error {
			return app(func(a *spawner.App) { a.LogLevel = -1 })
		}, []string{"-1", "0 to 7"}},
		"App.Type": {func(*passenger.Pool) error {
			return app(func(a *spawner.App) { a.Type = "cobol" })
		}, []string{"cobol", "rack"}},
		"App.ASGIServer": {func(*passenger.Pool) error {
			return app(func(a *spawner.App) { a.ASGIServer = "daphne" })
		}, []string{"daphne", "uvicorn"}},
		"App.PHPServer": {func(*passenger.Pool) error {
			return app(func(a *spawner.App) { a.PHPServer = "\n" })
		}, []string{"PHP server"}},
		"App.SpawnMethod": {func(*passenger.Pool) error {
			return app(func(a *spawner.App) { a.SpawnMethod = "conservative" })
		}, []string{"conservative", "smart or direct"}},
		"spawner.Config.Users": {func(*passenger.Pool) error {
			return (&spawner.Config{Users: 99}).Validate()
		}, []string{"99", "UserOfApp, DefaultUserOnly or SameUser"}},
		"handler.Config.ErrorDetails": {func(*passenger.Pool) error {
			return (&handler.Config{ErrorDetails: 99}).Validate()
		}, []string{"99", "DetailsInDevelopment, DetailsAlways and DetailsNever"}},
		"apiserver.Account.Level": {func(pool *passenger.Pool) error {
			accounts := []apiserver.Account{{Name: "a", Password: "b", Level: 99}}
			return (&apiserver.Config{Pool: pool, Accounts: accounts}).Validate()
		}, []string{"99", "ReadOnly or Full"}},
		"hooks.Config.Commands": {func(*passenger.Pool) error {
			_, err := hooks.NewScripts(hooks.Config{Commands: map[hooks.Name]string{"attached": "true"}})
			return err
		}, []string{"attached", "attached_process"}},
	} {
		t.Run(name, func(t *testing.T) {
			pool := spawnertest.NewPool(t, passenger.Config{Spawner: spawnertest.New(spawnertest.Script{})})
			s, err := pool.Get(t.Context(), &passenger.Options{App: spawner.App{Root: "/srv/shop", GroupName: "shop"}})
			require.NoError(t, err)
			s.Close(passenger.KeepAlive)

			err = test.err(pool)
			require.Error(t, err)

			for _, text := range test.says {
				require.ErrorContains(t, err, text)
			}
		})
	}
}
