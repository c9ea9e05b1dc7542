package sysmem_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/sysmem"
)

func TestTotalIsAtMostWhatTheMachineHas(t *testing.T) {
	var info unix.Sysinfo_t
	require.NoError(t, unix.Sysinfo(&info))
	require.Positive(t, sysmem.Total())
	require.LessOrEqual(t, sysmem.Total(), int64(info.Totalram)*int64(info.Unit))
}
