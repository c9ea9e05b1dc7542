package watchdog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func receiving(text string) *link { return &link{in: bufio.NewReader(strings.NewReader(text))} }

func TestMessages(t *testing.T) {
	l := receiving(`{"start":{"config":{"a":1},"files":["http"]}}` + "\n" + `{"command":"shutdown"}` + "\n")
	m, err := l.receive()
	require.NoError(t, err)
	require.JSONEq(t, `{"a":1}`, string(m.Start.Config))
	require.Equal(t, []string{"http"}, m.Start.Files)
	m, err = l.receive()
	require.NoError(t, err)
	require.Equal(t, "shutdown", m.Command)
	_, err = l.receive()
	require.ErrorIs(t, err, io.EOF)
}

func TestMessagesThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"no JSON\n":            "invalid character",
		`{"command":"cut`:      "unexpected EOF",
		"[1,2]\n":              "cannot unmarshal",
		`{"command":7}` + "\n": "cannot unmarshal",
		`"` + strings.Repeat("x", maxMessage+8192) + "\n": errLongMessage.Error(),
	} {
		_, err := receiving(text).receive()
		require.ErrorContains(t, err, want)
	}
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte(`{"ready":{"url":"http://x/"}}` + "\n" + `{"error":"e"}` + "\n"))
	f.Add([]byte("\n\n{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := &link{in: bufio.NewReader(bytes.NewReader(b))}
		for range len(b) + 2 {
			m, err := l.receive()
			if errors.Is(err, io.EOF) {
				return
			}

			if err == nil {
				_, err = json.Marshal(m)
				require.NoError(t, err)
			}
		}

		require.Fail(t, "it does not come to the end")
	})
}
