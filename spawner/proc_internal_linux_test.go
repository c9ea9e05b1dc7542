package spawner

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// hugeEnviron is what a process makes of its environment that says it is all of a large memory.
type hugeEnviron struct{ read int64 }

func (e *hugeEnviron) Read(p []byte) (int, error) {
	clear(p)
	e.read += int64(len(p))

	return len(p), nil
}

func TestVariablesAreFoundWhereverTheyAreInAnEnvironment(t *testing.T) {
	const wanted = "MARKER=abc"

	long := "LONG=" + strings.Repeat("x", 64<<10) + "\x00"
	for environ, want := range map[string]bool{
		"":                                    false,
		"MARKER=abc\x00":                      true,
		"A=b\x00MARKER=abc\x00C=d\x00":        true,
		"MARKER=abc":                          false,
		"MARKER=abcd\x00":                     false,
		"NO_MARKER=abc\x00":                   false,
		"A=MARKER=abc\x00":                    false,
		long + "MARKER=abc\x00":               true,
		long + long + "MARKER=abc\x00" + long: true,
	} {
		require.Equal(t, want, hasVariable(strings.NewReader(environ), wanted), "%.40q", environ)
		require.Equal(t, want, hasVariable(iotest.OneByteReader(strings.NewReader(environ)), wanted), "%.40q", environ)
		require.Equal(t, want, hasVariable(iotest.HalfReader(strings.NewReader(environ)), wanted), "%.40q", environ)
	}

	for before := range 64 {
		for _, length := range []int{environPiece, 16 * environPiece} {
			environ := "A=" + strings.Repeat("x", length-before) + "\x00" + wanted + "\x00"
			require.True(t, hasVariable(strings.NewReader(environ), wanted), "between two pieces")
		}
	}

	require.False(t, hasVariable(iotest.ErrReader(errors.New("no rights")), wanted))
}

// A process may say that its environment is all of its memory, which may be terabytes.
func TestEnvironmentWithoutEndIsReadUpToALimit(t *testing.T) {
	t.Parallel()

	var environ hugeEnviron
	require.False(t, hasVariable(&environ, "MARKER=abc"))
	require.EqualValues(t, maxEnviron, environ.read)
}

// What an application has put into the background is looked for at the end of each of its
// processes, among all processes of the host.
func BenchmarkKillMarked(b *testing.B) {
	b.ReportAllocs()

	for range b.N {
		killMarked("PASSENGER_SPAWN=of none", os.Geteuid())
	}

	b.ReportMetric(float64(len(pids())), "processes")
}
