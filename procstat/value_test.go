package procstat_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/procstat"
)

func TestValue(t *testing.T) {
	var unknown procstat.Value[int]
	require.False(t, unknown.Known())
	require.Equal(t, 7, unknown.Or(7))
	zero := procstat.Known(0)
	require.NotEqual(t, unknown, zero)
	require.Equal(t, 0, zero.Or(7))
	n, known := zero.Get()
	require.Equal(t, 0, n)
	require.True(t, known)
}

func TestValueInJSON(t *testing.T) {
	type reading struct {
		A procstat.Value[float64]
		B procstat.Value[string]
		C procstat.Value[int] `json:",omitzero"`
	}
	in := reading{A: procstat.Known(0.5)}
	text, err := json.Marshal(in)
	require.NoError(t, err)
	require.JSONEq(t, `{"A":0.5,"B":null}`, string(text))
	out := reading{B: procstat.Known("x")}
	require.NoError(t, json.Unmarshal(text, &out))
	require.Equal(t, in, out)
	require.Error(t, json.Unmarshal([]byte(`{"A":"x"}`), &out))
}
