package goapp

import (
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEnv(t *testing.T) {
	t.Parallel()

	for block, want := range map[string]map[string]string{
		"":                            nil,
		"A\x001\x00":                  {"A": "1"},
		"A\x001\x00EMPTY\x00\x00":     {"A": "1", "EMPTY": ""},
		"A\x00x=1&y\x00B\x00\xff\x00": {"A": "x=1&y", "B": "\xff"},
		"A\x00":                       nil,
		"A\x001\x00B\x00":             nil,
	} {
		r := &http.Request{Header: http.Header{}}
		r.Header.Set("!~Passenger-Envvars", base64.StdEncoding.EncodeToString([]byte(block)))
		require.Equal(t, want, Env(r), "%q", block)
	}

	require.Nil(t, Env(&http.Request{Header: http.Header{}}))
	r := &http.Request{Header: http.Header{}}
	r.Header.Set("!~Passenger-Envvars", "not Base64")
	require.Nil(t, Env(r))
}
