package hooks_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/hooks"
)

func TestNames(t *testing.T) {
	seen := map[hooks.Name]bool{}
	for _, name := range hooks.Names() {
		require.False(t, seen[name], name)

		seen[name] = true
		for _, s := range []string{string(name), "hook_" + string(name)} {
			parsed, err := hooks.ParseName(s)
			require.NoError(t, err)
			require.Equal(t, name, parsed)
		}
	}

	require.Len(t, seen, 11)

	for _, s := range []string{"", "hook_", "attached", "hook_hook_attached_process", "Attached_Process"} {
		_, err := hooks.ParseName(s)
		require.ErrorContains(t, err, "spawn_failed", s)
	}
}

func TestOn(t *testing.T) {
	nothing := hooks.HookFunc(func(context.Context, hooks.Event) error { return nil })
	both := hooks.On(nothing, hooks.SpawnFailed, hooks.AttachedProcess)
	require.True(t, both.Has(hooks.SpawnFailed))
	require.True(t, both.Has(hooks.AttachedProcess))
	require.False(t, both.Has(hooks.DetachedProcess))
	one := hooks.On(both, hooks.SpawnFailed, hooks.DetachedProcess)
	require.True(t, one.Has(hooks.SpawnFailed))
	require.False(t, one.Has(hooks.AttachedProcess))
	require.False(t, one.Has(hooks.DetachedProcess))
}
