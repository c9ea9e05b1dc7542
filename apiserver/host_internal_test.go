package apiserver

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestHostAdder(t *testing.T) {
	const added = "\r\nHost: passenger\r\n"

	long := "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", maxHead+8192)
	for name, test := range map[string]struct{ sent, want string }{
		"none":      {"GET / HTTP/1.1\r\nA: b\r\n\r\n", "GET / HTTP/1.1" + added + "A: b\r\n\r\n"},
		"no header": {"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1" + added + "\r\n"},
		"its own":   {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
		"in other cases": {
			"GET / HTTP/1.1\r\nA: b\r\nhOST:x\r\n\r\nbody",
			"GET / HTTP/1.1\r\nA: b\r\nhOST:x\r\n\r\nbody",
		},
		"a body": {"PUT / HTTP/1.1\r\nA: b\r\n\r\nHost: x\r\n\r\n", "PUT / HTTP/1.1" + added +
			"A: b\r\n\r\nHost: x\r\n\r\n"},
		"only the first": {"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n", "GET /1 HTTP/1.1" + added +
			"\r\nGET /2 HTTP/1.1\r\n\r\n"},
		"no end":   {"GET / HTTP/1.1\r\nA: b\r\n", "GET / HTTP/1.1\r\nA: b\r\n"},
		"too long": {long, long},
		"nothing":  {"", ""},
	} {
		for how, reader := range map[string]func(io.Reader) io.Reader{
			"at once":  func(r io.Reader) io.Reader { return r },
			"bytewise": iotest.OneByteReader,
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				got, err := io.ReadAll(&hostAdder{in: reader(strings.NewReader(test.sent))})
				require.NoError(t, err)
				require.Equal(t, test.want, string(got))
			})
		}
	}
}
