package sessionproto_test

import (
	"encoding/binary"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/sessionproto"
)

// block joins names and values as they stand on the wire, without length.
func block(pairs ...string) string {
	var b strings.Builder
	for _, s := range pairs {
		b.WriteString(s + "\x00")
	}

	return b.String()
}

// framed puts a length in front that is that of the body.
func framed(body string) string { return announced(uint32(len(body)), body) }

func announced(length uint32, body string) string {
	return string(binary.BigEndian.AppendUint32(nil, length)) + body
}

// encode adds names and values.
func encode(pairs ...string) ([]byte, error) {
	var e sessionproto.Encoder
	for i := 0; i < len(pairs); i += 2 {
		e.Add(pairs[i], pairs[i+1])
	}

	return e.Bytes()
}

func requireWire(t *testing.T, want string, e *sessionproto.Encoder) {
	t.Helper()
	got, err := e.Bytes()
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

// allocated returns how many bytes f allocates, freed ones included.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)

	return after.TotalAlloc - before.TotalAlloc
}
