package proxyproto_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/proxyproto"
)

const signature = "\r\n\r\n\x00\r\nQUIT\n"

// v2 is a header of version 2.
func v2(command, family byte, body string) string {
	return signature + string(binary.BigEndian.AppendUint16([]byte{command, family}, uint16(len(body)))) + body
}

const (
	ipv4Body = "\xc6\x33\x64\x01\x7f\x00\x00\x01\x12\x67\x00\x50"
	ipv6Body = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x12\x67\x01\xbb"
	mappedBody = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc6\x33\x64\x01" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x7f\x00\x00\x01\x12\x67\x01\xbb"
)

var unixBody = "/run/evil" + strings.Repeat("\x00", 216-len("/run/evil"))

// headers are good ones, with the client that each names; or that it names none.
var headers = map[string]string{
	"PROXY TCP4 198.51.100.1 127.0.0.1 4711 80\r\n":                                "198.51.100.1:4711",
	"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n":                   "255.255.255.255:65535",
	"PROXY TCP6 2001:db8::1 ::1 4711 443\r\n":                                      "[2001:db8::1]:4711",
	"PROXY TCP6 :: :: 1 1\r\n":                                                     "[::]:1",
	"PROXY TCP6 ::ffff:198.51.100.1 ::1 4711 443\r\n":                              "198.51.100.1:4711",
	"PROXY UNKNOWN\r\n":                                                            "unknown",
	"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n":                                "unknown",
	"PROXY UNKNOWN " + strings.Repeat("x", 107-len("PROXY UNKNOWN \r\n")) + "\r\n": "unknown",

	v2(0x21, 0x11, ipv4Body):                            "198.51.100.1:4711",
	v2(0x21, 0x21, ipv6Body):                            "[2001:db8::1]:4711",
	v2(0x21, 0x21, mappedBody):                          "198.51.100.1:4711",
	v2(0x21, 0x31, unixBody):                            "unknown",
	v2(0x21, 0x00, ""):                                  "unknown",
	v2(0x21, 0x00, "anything"):                          "unknown",
	v2(0x20, 0x00, ""):                                  "unknown",
	v2(0x20, 0x11, ipv4Body):                            "unknown",
	v2(0x20, 0x7f, "anything"):                          "unknown",
	v2(0x21, 0x11, ipv4Body+"\x04\x00\x03abc"):          "198.51.100.1:4711",
	v2(0x21, 0x11, ipv4Body+"\x20\x00\x00\x04\x00\x00"): "198.51.100.1:4711",
	v2(0x21, 0x11, ipv4Body+"\x04\x0f\xf1"+strings.Repeat("x", 4096-12-3)): "198.51.100.1:4711",
}

// malformed are those that end the connection.
var malformed = map[string]string{
	"nothing":                        "",
	"HTTP":                           "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	"TLS":                            "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	"cut short":                      "PROXY TCP4 198.51.100.1",
	"small letters":                  "proxy TCP4 198.51.100.1 127.0.0.1 4711 80\r\n",
	"line feed only":                 "PROXY TCP4 198.51.100.1 127.0.0.1 4711 80\n",
	"carriage return in it":          "PROXY TCP4 198.51.100.1\r127.0.0.1 4711 80 \r\n",
	"too long":                       "PROXY UNKNOWN " + strings.Repeat("x", 108-len("PROXY UNKNOWN \r\n")) + "\r\n",
	"endless":                        "PROXY TCP4 " + strings.Repeat("1", 1000),
	"two spaces":                     "PROXY TCP4  198.51.100.1 127.0.0.1 4711 80\r\n",
	"space at its end":               "PROXY TCP4 198.51.100.1 127.0.0.1 4711 80 \r\n",
	"another protocol":               "PROXY UDP4 198.51.100.1 127.0.0.1 4711 80\r\n",
	"another family":                 "PROXY TCP4 2001:db8::1 ::1 4711 80\r\n",
	"another family of six":          "PROXY TCP6 198.51.100.1 127.0.0.1 4711 80\r\n",
	"zone":                           "PROXY TCP6 fe80::1%eth0 ::1 4711 80\r\n",
	"leading zero":                   "PROXY TCP4 198.051.100.1 127.0.0.1 4711 80\r\n",
	"port out of range":              "PROXY TCP4 198.51.100.1 127.0.0.1 65536 80\r\n",
	"port with a zero":               "PROXY TCP4 198.51.100.1 127.0.0.1 04711 80\r\n",
	"port with a sign":               "PROXY TCP4 198.51.100.1 127.0.0.1 +4711 80\r\n",
	"destination that is none":       "PROXY TCP4 198.51.100.1 nowhere 4711 80\r\n",
	"destination's port is none":     "PROXY TCP4 198.51.100.1 127.0.0.1 4711 x\r\n",
	"no ports":                       "PROXY TCP4 198.51.100.1 127.0.0.1\r\n",
	"signature of another":           "\r\n\r\n\x00\r\nQUIX\n\x21\x11\x00\x0c" + ipv4Body,
	"version 1 in binary":            v2(0x11, 0x11, ipv4Body),
	"version 3":                      v2(0x31, 0x11, ipv4Body),
	"another command":                v2(0x22, 0x11, ipv4Body),
	"UDP":                            v2(0x21, 0x12, ipv4Body),
	"another family in binary":       v2(0x21, 0x41, ipv4Body),
	"addresses too short":            v2(0x21, 0x11, ipv4Body[:11]),
	"addresses of six too short":     v2(0x21, 0x21, ipv6Body[:35]),
	"paths too short":                v2(0x21, 0x31, unixBody[:215]),
	"body is missing":                v2(0x21, 0x11, ipv4Body)[:20],
	"length over the limit":          v2(0x21, 0x11, ipv4Body+strings.Repeat("\x04\x00\x00", 2000)),
	"what follows is cut short":      v2(0x21, 0x11, ipv4Body+"\x04\x00\x04abc"),
	"what follows has a half head":   v2(0x21, 0x11, ipv4Body+"\x04\x00"),
	"head of version 2 is cut short": signature + "\x21",
}

func TestHeadersNameTheClientAndLeaveWhatFollows(t *testing.T) {
	for header, client := range headers {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "in pieces": oneByte,
		} {
			all := strings.NewReader(header + "GET / HTTP/1.1\r\n")
			addr, err := proxyproto.ReadHeader(wrap(all))
			require.NoError(t, err, "%q %s", header, name)
			require.Equal(t, client, addr.String(), "%q", header)

			rest, err := io.ReadAll(all)
			require.NoError(t, err)
			require.Equal(t, "GET / HTTP/1.1\r\n", string(rest), "%q", header)
		}
	}
}

// Faults: R-49.
func TestMalformedHeadersAreRefused(t *testing.T) {
	for name, header := range malformed {
		addr, err := proxyproto.ReadHeader(strings.NewReader(header))
		require.ErrorIs(t, err, proxyproto.ErrHeader, name)
		require.Nil(t, addr, name)
	}
}

// Every cut of a good header is none.
// Faults: R-49.
func TestHeadersAreWhole(t *testing.T) {
	for header := range headers {
		for n := range len(header) {
			_, err := proxyproto.ReadHeader(strings.NewReader(header[:n]))
			require.ErrorIs(t, err, proxyproto.ErrHeader, "%q", header[:n])
		}
	}
}

// oneByte gives one byte at a time.
func oneByte(r io.Reader) io.Reader { return pieces{r} }

type pieces struct{ r io.Reader }

func (p pieces) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}

	return p.r.Read(b[:1])
}

func FuzzReadHeader(f *testing.F) {
	for header := range headers {
		f.Add([]byte(header + "rest"))
	}

	for _, header := range malformed {
		f.Add([]byte(header))
	}

	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		addr, err := proxyproto.ReadHeader(r)
		read := len(data) - r.Len()
		require.LessOrEqual(t, read, 16+4<<10)
		if err != nil {
			require.Nil(t, addr)
			return
		}

		// The same header is the same, alone and in pieces.
		again, err := proxyproto.ReadHeader(oneByte(bytes.NewReader(data[:read])))
		require.NoError(t, err)
		require.Equal(t, addr, again)
		_, err = proxyproto.ReadHeader(bytes.NewReader(data[:read-1]))
		require.Error(t, err)
	})
}
