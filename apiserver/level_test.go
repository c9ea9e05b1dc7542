package apiserver_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/apiserver"
)

func TestLevelOfAnAccountForWhatIsServedBesideTheAPI(t *testing.T) {
	api, err := apiserver.New(apiserver.Config{
		Pool:   newHouse(t).pool,
		Logger: logr.Discard(),
		Accounts: []apiserver.Account{
			{Name: "admin", Password: "a", Level: apiserver.Full},
			{Name: "ro_admin", Password: "r", Level: apiserver.ReadOnly},
		},
	})
	require.NoError(t, err)

	ask := func(name, password string) (apiserver.Level, bool) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if name != "" {
			r.SetBasicAuth(name, password)
		}

		return api.LevelOf(r)
	}

	for _, c := range []struct {
		name, password string
		level          apiserver.Level
		ok             bool
	}{
		{"admin", "a", apiserver.Full, true},
		{"ro_admin", "r", apiserver.ReadOnly, true},
		{"admin", "r", apiserver.ReadOnly, false},
		{"api", "", apiserver.ReadOnly, false},
		{"", "", apiserver.ReadOnly, false},
	} {
		level, ok := ask(c.name, c.password)
		require.Equal(t, c.ok, ok, c.name)
		require.Equal(t, c.level, level, c.name)
	}

	for range 1000 {
		_, ok := ask("admin", "wrong")
		require.False(t, ok)
	}

	_, ok := ask("admin", "a")
	require.False(t, ok, "too many wrong ones")
}
