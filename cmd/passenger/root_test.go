package main

import (
	"os"
	"os/user"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// Whoever owns an application is named with what can be done about it: a user without a name is none for --user.
func TestOwnersOfApplicationsAreNamedWithAdvice(t *testing.T) {
	interpreters.Root(t, "to give files away")

	nobody, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.Atoi(nobody.Uid)
	require.NoError(t, err)

	for uid, want := range map[int][2]string{
		0:      {"", ""},
		uid:    {"the user nobody", "start it with --user nobody"},
		987654: {"the user 987654", "start it as that user, or make its files root's"},
	} {
		dir := t.TempDir()
		require.NoError(t, os.Chown(dir, uid, uid))
		who, advice := changedBy(dir)
		require.Equal(t, want, [2]string{who, advice})
	}
}
