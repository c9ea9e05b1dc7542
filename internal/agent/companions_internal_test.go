package agent

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/companion"
)

// A scheduler that ran once for each host of an application would do everything several times.
func TestCompanionsRunOnceForAnApplicationOfSeveralEntries(t *testing.T) {
	c := &Config{}
	for _, entry := range []struct {
		dir, environment string
		companions       companion.Specs
	}{
		{"/srv/a", "test", nil},
		{"/srv/a", "test", companion.Specs{{Name: "clock"}}},
		{"/srv/a", "test", companion.Specs{{Name: "clock"}}},
		{"/srv/a", "staging", companion.Specs{{Name: "clock"}}},
		{"/srv/b", "test", companion.Specs{{Name: "clock"}}},
	} {
		own := DefaultConfig()
		own.Dir, own.Environment, own.Companions = entry.dir, entry.environment, entry.companions
		c.Apps = append(c.Apps, HostedApp{Config: &own})
	}

	all := (&Server{cfg: c}).newCompanions("", nil)
	names := make([]string, 0, len(all))

	for _, one := range all {
		defer one.finish()
		names = append(names, one.app.Name())
		require.NotEmpty(t, one.cfg.Companions)
	}

	require.Equal(t, []string{"/srv/a (test)", "/srv/a (staging)", "/srv/b (test)"}, names)
}
