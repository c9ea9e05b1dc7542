package confine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/confine"
)

func TestSetsAreParsedAsTheyArePrinted(t *testing.T) {
	for _, c := range []struct {
		list []string
		want confine.Capabilities
		text string
	}{
		{nil, 0, "none"},
		{[]string{"none"}, 0, "none"},
		{[]string{"ALL"}, confine.All, "all"},
		{[]string{"CAP_NET_RAW", " chown"}, confine.SetOf(confine.NetRaw, confine.Chown), "CAP_CHOWN, CAP_NET_RAW"},
		{[]string{"checkpoint_restore"}, 1 << 40, "CAP_CHECKPOINT_RESTORE"},
		{[]string{"Cap_Sys_Ptrace", "sys_ptrace"}, confine.SetOf(confine.SysPtrace), "CAP_SYS_PTRACE"},
	} {
		set, err := confine.Parse(c.list)
		require.NoError(t, err)
		require.Equal(t, c.want, set)
		require.Equal(t, c.text, set.String())
	}
}

func TestWhatIsNoCapabilityIsRefused(t *testing.T) {
	for text, list := range map[string][]string{
		`"" is no capability`:                   {""},
		`"cap_" is no capability`:               {"cap_"},
		`"root" is no capability`:               {"chown", "root"},
		`"none" stands for a whole list`:        {"none", "chown"},
		`"all" stands for a whole list: leave `: {"chown", "all"},
	} {
		_, err := confine.Parse(list)
		require.ErrorContains(t, err, text)
	}
}
