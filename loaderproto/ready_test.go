package loaderproto_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

func unix(path string) loaderproto.Address {
	return loaderproto.Address{Network: "unix", Addr: path}
}

func tcp(hostPort string) loaderproto.Address {
	return loaderproto.Address{Network: "tcp", Addr: hostPort}
}

// negotiateReady runs a negotiation whose Ready block has these lines.
func negotiateReady(features []string, l ...string) (*loaderproto.Ready, error) {
	n := loaderproto.Negotiation{Request: loaderproto.Request{Features: features}}
	r, _, err := n.Negotiate(says(control, readyBlock(l...)))
	return r, err
}

func TestReady(t *testing.T) {
	const keepAlive = loaderproto.FeatureSessionKeepAlive

	main := loaderproto.Socket{
		Name:        "main",
		Address:     unix("/tmp/a.sock"),
		Protocol:    loaderproto.Session,
		Concurrency: 1,
	}
	for name, tc := range map[string]struct {
		lines    []string
		features []string
		want     loaderproto.Ready
	}{
		"one socket": {
			lines: []string{"socket: main;unix:/tmp/a.sock;session;1"},
			want:  loaderproto.Ready{Sockets: []loaderproto.Socket{main}},
		},
		"every protocol, pid in the middle": {
			lines: []string{
				"socket: main;unix:/tmp/a.sock;session;1",
				"pid: 1234",
				"socket: web;tcp://127.0.0.1:8080;http_session;0",
				"socket: http;tcp://[::1]:65535;http;2147483647",
				"socket: ;tcp://localhost:1;odd protocol;4",
			},
			want: loaderproto.Ready{
				Sockets: []loaderproto.Socket{
					main,
					{Name: "web", Address: tcp("127.0.0.1:8080"), Protocol: loaderproto.HTTPSession},
					{Name: "http", Address: tcp("[::1]:65535"), Protocol: loaderproto.HTTP, Concurrency: 1<<31 - 1},
					{Address: tcp("localhost:1"), Protocol: "odd protocol", Concurrency: 4},
				},
				PID: 1234,
			},
		},
		"features: those offered": {
			lines:    []string{"socket: main;unix:/tmp/a.sock;session;1", "features: later  " + keepAlive},
			features: []string{keepAlive, "other"},
			want:     loaderproto.Ready{Sockets: []loaderproto.Socket{main}, Features: []string{keepAlive}},
		},
		"features: none": {
			lines:    []string{"features: ", "socket: main;unix:/tmp/a.sock;session;1"},
			features: []string{keepAlive},
			want:     loaderproto.Ready{Sockets: []loaderproto.Socket{main}},
		},
		"name with the separator of keys": {
			lines: []string{"socket: a: b;unix:/tmp/a: b;session;1"},
			want: loaderproto.Ready{Sockets: []loaderproto.Socket{
				{Name: "a: b", Address: unix("/tmp/a: b"), Protocol: loaderproto.Session, Concurrency: 1},
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := negotiateReady(tc.features, tc.lines...)
			require.NoError(t, err)
			require.Equal(t, &tc.want, r)
			require.Equal(t, len(tc.want.Features) > 0, r.HasFeature(keepAlive))
			require.False(t, r.HasFeature("later"))
		})
	}
}

func TestAddress(t *testing.T) {
	longest := "/" + strings.Repeat("x", loaderproto.UnixPathMax-2)
	for said, want := range map[string]loaderproto.Address{
		"unix:/a":                unix("/a"),
		"unix:/tmp/..a/.b/c...":  unix("/tmp/..a/.b/c..."),
		"unix:" + longest:        unix(longest),
		"tcp://127.0.0.1:80":     tcp("127.0.0.1:80"),
		"tcp://[::1]:80":         tcp("[::1]:80"),
		"tcp://[fe80::1%lo]:80":  tcp("[fe80::1%lo]:80"),
		"tcp://my-host_1.lan:1":  tcp("my-host_1.lan:1"),
		"tcp://127.0.0.1:65535":  tcp("127.0.0.1:65535"),
		"unix:":                  {},
		"unix:/":                 {},
		"unix:tmp/a":             {},
		"unix:./a":               {},
		"unix://a":               {},
		"unix:/a//b":             {},
		"unix:/a/":               {},
		"unix:/a/./b":            {},
		"unix:/a/../b":           {},
		"unix:/..":               {},
		"unix:/a\x00":            {},
		"unix:" + longest + "x":  {},
		"UNIX:/a":                {},
		"/a":                     {},
		"":                       {},
		"tcp:127.0.0.1:80":       {},
		"TCP://127.0.0.1:80":     {},
		"tcp://":                 {},
		"tcp://127.0.0.1":        {},
		"tcp://127.0.0.1:":       {},
		"tcp://127.0.0.1:0":      {},
		"tcp://127.0.0.1:-1":     {},
		"tcp://127.0.0.1:+1":     {},
		"tcp://127.0.0.1:65536":  {},
		"tcp://127.0.0.1:http":   {},
		"tcp://:80":              {},
		"tcp://[]:80":            {},
		"tcp://::1:80":           {},
		"tcp://[::1:80":          {},
		"tcp://127.0.0.1:80/":    {},
		"tcp://127.0.0.1:80?":    {},
		"tcp://127.0.0.1:80?a":   {},
		"tcp://127.0.0.1:80#":    {},
		"tcp://127.0.0.1:80#a":   {},
		"tcp://u@127.0.0.1:80":   {},
		"tcp://127.0.0.1 :80":    {},
		"tcp://a/127.0.0.1:80":   {},
		"tcp://a%41:80":          {},
		"tcp://h\u00f6st:80":     {},
		"http://127.0.0.1:80":    {},
		"tcp://127.0.0.1:80\x00": {},
	} {
		t.Run(said, func(t *testing.T) {
			r, err := negotiateReady(nil, "socket: main;"+said+";session;1")
			var n loaderproto.Negotiation
			preloader, _, preloaderErr := n.NegotiatePreloader(says(control, readyBlock("socket: "+said)))
			if want == (loaderproto.Address{}) {
				for _, err := range []error{err, preloaderErr} {
					e := requireKind(t, err, loaderproto.BadAddress, loaderproto.ReadReady)
					require.Equal(t, said, e.Line)
				}

				return
			}

			require.NoError(t, err)
			require.NoError(t, preloaderErr)
			require.Equal(t, want, r.Sockets[0].Address)
			require.Equal(t, want, preloader.Address)
			require.Equal(t, said, want.String())
		})
	}
}

func TestReadyRefused(t *testing.T) {
	const main = "socket: main;unix:/tmp/a.sock;session;1"

	many := make([]string, loaderproto.MaxHeaderLines+1)
	for i := range many {
		many[i] = fmt.Sprintf("socket: s%d;unix:/tmp/%d;x;1", i, i)
	}

	for name, tc := range map[string]struct {
		lines []string
		kind  loaderproto.Kind
		line  string
	}{
		"empty block": {nil, loaderproto.NoRequestSocket, ""},
		"pid alone":   {[]string{"pid: 1"}, loaderproto.NoRequestSocket, ""},
		"http alone":  {[]string{"socket: a;unix:/a;http;1"}, loaderproto.NoRequestSocket, ""},
		"four request sockets": {
			[]string{main, main, "socket: a;unix:/a;http_session;1", main},
			loaderproto.TooManySockets, "4",
		},
		"unknown key":          {[]string{main, "code_revision: 5"}, loaderproto.UnknownKey, "code_revision"},
		"keys have a case":     {[]string{"Socket: main;unix:/a;session;1"}, loaderproto.UnknownKey, "Socket"},
		"features not offered": {[]string{main, "features: x"}, loaderproto.UnknownKey, "features"},
		"no separator":         {[]string{main, "pid"}, loaderproto.MalformedLine, "pid"},
		"no space":             {[]string{"pid:1234"}, loaderproto.MalformedLine, "pid:1234"},
		"no name":              {[]string{": 1234"}, loaderproto.MalformedLine, ": 1234"},
		"three fields": {
			[]string{"socket: main;unix:/a;session"},
			loaderproto.BadSocket,
			"main;unix:/a;session",
		},
		"five fields": {
			[]string{"socket: main;unix:/a;session;1;1"},
			loaderproto.BadSocket,
			"main;unix:/a;session;1;1",
		},
		"no fields":   {[]string{"socket: "}, loaderproto.BadSocket, ""},
		"no protocol": {[]string{"socket: main;unix:/a;;1"}, loaderproto.BadSocket, "main;unix:/a;;1"},
		"concurrency: none": {
			[]string{"socket: main;unix:/a;session;"},
			loaderproto.BadSocket,
			"main;unix:/a;session;",
		},
		"concurrency: word": {
			[]string{"socket: main;unix:/a;session;x"},
			loaderproto.BadSocket,
			"main;unix:/a;session;x",
		},
		"concurrency: negative": {
			[]string{"socket: main;unix:/a;session;-1"},
			loaderproto.BadSocket,
			"main;unix:/a;session;-1",
		},
		"concurrency: too large": {
			[]string{"socket: main;unix:/a;session;2147483648"},
			loaderproto.BadSocket,
			"main;unix:/a;session;2147483648",
		},
		"bad address":       {[]string{"socket: main;/a;session;1"}, loaderproto.BadAddress, "/a"},
		"pid: word":         {[]string{main, "pid: me"}, loaderproto.BadPID, "me"},
		"pid: zero":         {[]string{main, "pid: 0"}, loaderproto.BadPID, "0"},
		"pid: negative":     {[]string{main, "pid: -1"}, loaderproto.BadPID, "-1"},
		"pid: sign":         {[]string{main, "pid: +1"}, loaderproto.BadPID, "+1"},
		"pid: space":        {[]string{main, "pid:  1"}, loaderproto.BadPID, " 1"},
		"pid: 1 in 32 bits": {[]string{main, "pid: 4294967297"}, loaderproto.BadPID, "4294967297"},
		"pid: over 64 bits": {
			[]string{main, "pid: 99999999999999999999"},
			loaderproto.BadPID,
			"99999999999999999999",
		},
		"too many lines": {many, loaderproto.BlockTooLong, many[len(many)-1]},
		"long line is cut": {
			[]string{strings.Repeat("x", 300)},
			loaderproto.MalformedLine,
			strings.Repeat("x", 200),
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := negotiateReady(nil, tc.lines...)
			e := requireKind(t, err, tc.kind, loaderproto.ReadReady)
			require.Equal(t, loaderproto.ProtocolError, e.Kind.Category())
			require.Equal(t, tc.line, e.Line)
			require.Nil(t, e.Message)
			require.NoError(t, e.Err)
		})
	}
}

func TestReadyLimits(t *testing.T) {
	l := []string{
		"socket: a;unix:/a;session;1",
		"socket: b;unix:/b;session;1",
		"socket: c;unix:/c;http_session;1",
	}
	for len(l) < loaderproto.MaxHeaderLines {
		l = append(l, "socket: x;unix:/x;http;1")
	}

	r, err := negotiateReady(nil, l...)
	require.NoError(t, err)
	require.Len(t, r.Sockets, loaderproto.MaxHeaderLines)
}

func TestLoaderReadyBytes(t *testing.T) {
	var sent bytes.Buffer
	require.NoError(t, loaderproto.NewLoader(nil, &sent).Ready(&loaderproto.Ready{
		Sockets: []loaderproto.Socket{
			{Name: "main", Address: unix("/tmp/a.sock"), Protocol: loaderproto.Session, Concurrency: 1},
			{Name: "http", Address: tcp("[::1]:80"), Protocol: loaderproto.HTTP},
		},
		PID:      1234,
		Features: []string{"a", "b"},
	}))
	require.Equal(t, lines(
		"",
		"!> Ready",
		"!> socket: main;unix:/tmp/a.sock;session;1",
		"!> socket: http;tcp://[::1]:80;http;0",
		"!> pid: 1234",
		"!> features: a b",
		"!> ",
	), sent.String())
}

func TestLoaderReadyRefused(t *testing.T) {
	good := loaderproto.Socket{Name: "main", Address: unix("/a"), Protocol: loaderproto.Session}

	change := func(f func(*loaderproto.Socket)) loaderproto.Ready {
		s := good
		f(&s)
		return loaderproto.Ready{Sockets: []loaderproto.Socket{good, s}}
	}
	for name, tc := range map[string]struct {
		ready loaderproto.Ready
		kind  loaderproto.Kind
	}{
		"name with a separator": {change(func(s *loaderproto.Socket) { s.Name = "a;b" }), loaderproto.BadSocket},
		"name with a newline": {
			change(func(s *loaderproto.Socket) { s.Name = "a\n!> pid: 1" }),
			loaderproto.BadRequest,
		},
		"name with a return": {change(func(s *loaderproto.Socket) { s.Name = "a\r" }), loaderproto.BadRequest},
		"name with a NUL":    {change(func(s *loaderproto.Socket) { s.Name = "a\x00" }), loaderproto.BadRequest},
		"path with a newline": {
			change(func(s *loaderproto.Socket) { s.Address.Addr = "/a\nb" }),
			loaderproto.BadRequest,
		},
		"relative path": {change(func(s *loaderproto.Socket) { s.Address.Addr = "a" }), loaderproto.BadAddress},
		"no address": {
			change(func(s *loaderproto.Socket) { s.Address = loaderproto.Address{} }),
			loaderproto.BadAddress,
		},
		"no protocol":          {change(func(s *loaderproto.Socket) { s.Protocol = "" }), loaderproto.BadSocket},
		"negative concurrency": {change(func(s *loaderproto.Socket) { s.Concurrency = -1 }), loaderproto.BadSocket},
		"negative pid":         {loaderproto.Ready{Sockets: []loaderproto.Socket{good}, PID: -1}, loaderproto.BadPID},
		"feature with a newline": {loaderproto.Ready{
			Sockets:  []loaderproto.Socket{good},
			Features: []string{"a\nb"},
		}, loaderproto.BadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			var sent bytes.Buffer
			err := loaderproto.NewLoader(nil, &sent).Ready(&tc.ready)
			requireKind(t, err, tc.kind, loaderproto.ReadReady)
			require.Zero(t, sent.Len())
		})
	}
}
