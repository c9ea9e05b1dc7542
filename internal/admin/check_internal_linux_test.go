package admin

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHidepid(t *testing.T) {
	for mounts, want := range map[string]string{
		"proc /proc proc rw,nosuid 0 0\n":                                             "",
		"tmpfs /tmp tmpfs rw,hidepid=2 0 0\nproc /proc proc rw,hidepid=2,gid=5 0 0\n": "2",
		"proc /proc proc rw,hidepid=2 0 0\nproc /proc proc rw,hidepid=off 0 0\n":      "off",
		"proc /chroot/proc proc rw,hidepid=invisible 0 0\nbroken\n":                   "",
		"proc /proc proc rw,relatime,hidepid=invisible 0 0":                           "invisible",
	} {
		require.Equal(t, want, hidepid(mounts))
	}
}

func TestMetricsReader(t *testing.T) {
	r := MetricsReader{Version: "1"}
	first, err := r.Read()
	require.NoError(t, err)
	require.Nil(t, first.General.ForkRate)
	require.NotEmpty(t, first.General.Kernel)
	require.Positive(t, first.General.Count)
	second, err := r.Read()
	require.NoError(t, err)
	require.NotNil(t, second.General.ForkRate)
	require.Len(t, second.CPU.CPUs, second.CPU.Count)
	only := second.Only(Parts{Memory: true})
	require.Nil(t, only.General)
	require.Nil(t, only.CPU)
	require.NotNil(t, only.Memory)
	require.NotNil(t, second.CPU, "it is another value")
}
