package ustrouter

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var someTime = time.Date(2026, 1, 2, 3, 4, 5, 6789, time.UTC)

// full has something in each field.
func full() Transaction {
	return Transaction{
		Kind:  KindRequest,
		Time:  someTime,
		Total: 40 * time.Millisecond,

		App:         "shop",
		Root:        "/srv/shop",
		PID:         7,
		GUPID:       "g-1",
		ID:          "abc",
		Error:       "no",
		Category:    "time-out",
		Traceparent: sampledParent,
		ParentSpan:  "00f067aa0ba902b7",
		Link:        otherParent,

		Client:        "192.0.2.1",
		UserAgent:     "curl/8",
		Scheme:        "https",
		Method:        "GET",
		Host:          "shop.example:8080",
		Path:          "/a",
		Query:         "b=c",
		Protocol:      "HTTP/1.1",
		Status:        502,
		RequestBytes:  1,
		ResponseBytes: 2,
		Cached:        true,

		Queued:     10 * time.Millisecond,
		Checkout:   11 * time.Millisecond,
		FirstByte:  30 * time.Millisecond,
		Generation: 3,
		Processed:  4,
		Exited:     true,
		Blocking:   true,
		Dropped:    5,
	}
}

const (
	sampledParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	otherParent   = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
)

func lineOf(t testing.TB, transaction Transaction) []byte {
	t.Helper()
	e := newEncoder()
	require.NoError(t, e.transaction(&transaction))

	return e.buf.Bytes()
}

func TestRoundTrip(t *testing.T) {
	line := lineOf(t, full())
	require.JSONEq(t, `{"kind":"request","time":"2026-01-02T03:04:05.000006789Z","totalNs":40000000,`+
		`"app":"shop","root":"/srv/shop","pid":7,"gupid":"g-1","id":"abc","error":"no","category":"time-out",`+
		`"traceparent":"`+sampledParent+
		`","parentSpan":"00f067aa0ba902b7","link":"`+otherParent+
		`","client":"192.0.2.1","userAgent":"curl/8","scheme":"https","method":"GET","host":"shop.example:8080",`+
		`"path":"/a","query":"b=c","protocol":"HTTP/1.1",`+
		`"status":502,"requestBytes":1,"responseBytes":2,"cached":true,"queuedNs":10000000,"checkoutNs":11000000,`+
		`"firstByteNs":30000000,"generation":3,"processed":4,"exited":true,"blocking":true,"dropped":5}`, string(line))
	got, err := decode(line)
	require.NoError(t, err)
	require.Equal(t, full(), *got)
}

// Whatever is in a text, it is one line, and short enough.
// Faults: P15.
func TestTextsForgeNoLines(t *testing.T) {
	for name, unit := range map[string]string{
		"newlines": "\n", "NUL": "\x00", "separators": "\u2028", "quotes": `"`, "not UTF-8": "\xffa", "letters": "a",
		"runes": "é😀",
	} {
		t.Run(name, func(t *testing.T) {
			transaction := full()
			for _, s := range transaction.texts() {
				*s.value = strings.Repeat(unit, 8<<10)
			}

			line := lineOf(t, transaction)
			require.LessOrEqual(t, len(line), maxLine)
			require.Equal(t, 1, bytes.Count(line, []byte("\n")))
			got, err := decode(line)
			require.NoError(t, err)
			require.True(t, strings.HasSuffix(got.Path, cutMark))
			require.Equal(t, line, lineOf(t, *got), "cut once, it stays as it is")
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, test := range map[string]struct{ line, fault string }{
		"nothing":         {``, "no transaction"},
		"no object":       {`[]`, "no transaction"},
		"two":             {`{"kind":"spawn","time":"2026-01-02T03:04:05Z"}{}`, "no transaction"},
		"a type":          {`{"kind":"spawn","time":"2026-01-02T03:04:05Z","pid":"7"}`, "no transaction"},
		"no kind":         {`{"time":"2026-01-02T03:04:05Z"}`, "unknown kind"},
		"an unknown kind": {`{"kind":"x","time":"2026-01-02T03:04:05Z"}`, "unknown kind"},
		"no time":         {`{"kind":"spawn"}`, "time"},
		"a far time":      {`{"kind":"spawn","time":"9999-12-31T23:59:59-23:00"}`, "time"},
		"a negative time": {`{"kind":"spawn","time":"2026-01-02T03:04:05Z","totalNs":-1}`, "duration"},
		"an endless time": {
			`{"kind":"spawn","time":"2026-01-02T03:04:05Z","queuedNs":9223372036854775807}`,
			"duration",
		},
		"a negative number": {`{"kind":"dropped","time":"2026-01-02T03:04:05Z","dropped":-1}`, "no transaction"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decode([]byte(test.line))
			require.ErrorContains(t, err, test.fault)
		})
	}

	got, err := decode([]byte(`{"kind":"spawn","time":"2026-01-02T03:04:05Z","later":{"more":1}}`))
	require.NoError(t, err, "what a later version adds is ignored")
	require.Equal(t, KindSpawn, got.Kind)
}

func TestLinesAreBounded(t *testing.T) {
	for name, test := range map[string]struct {
		text  string
		lines []string
		fault string
	}{
		"some":        {"a\nbc\n\n", []string{"a", "bc", ""}, "EOF"},
		"unfinished":  {"a\nbc", []string{"a"}, "EOF"},
		"just fits":   {strings.Repeat("x", 63) + "\n", []string{strings.Repeat("x", 63)}, "EOF"},
		"too long":    {"a\n" + strings.Repeat("x", 64) + "\n", []string{"a"}, "more than 64 bytes"},
		"without end": {strings.Repeat("x", 1000), nil, "more than 64 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			in := newLines(strings.NewReader(test.text), 64)
			for _, want := range test.lines {
				line, err := in.next()
				require.NoError(t, err)
				require.Equal(t, want, string(line))
			}

			_, err := in.next()
			require.ErrorContains(t, err, test.fault)
		})
	}
}

func TestHello(t *testing.T) {
	for name, test := range map[string]struct{ line, fault string }{
		"right":         {`{"protocol":"passenger-ustrouter","version":1}` + "\n", ""},
		"more":          {`{"protocol":"passenger-ustrouter","version":1,"also":2}` + "\n", ""},
		"other version": {`{"protocol":"passenger-ustrouter","version":2}` + "\n", "version 2"},
		"other":         {`{"protocol":"x","version":1}` + "\n", "does not greet"},
		"HTTP":          {"GET / HTTP/1.1\r\n", "does not greet"},
		"long":          {strings.Repeat("x", maxShortLine+1), "more than 1024 bytes"},
		"nothing":       {"", "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			err := newLines(strings.NewReader(test.line), maxShortLine).hello()
			if test.fault == "" {
				require.NoError(t, err)
				return
			}

			require.ErrorContains(t, err, test.fault)
		})
	}
}

// FuzzLines: what is read as a transaction is written as a line that is read as
// the same.
func FuzzLines(f *testing.F) {
	f.Add(lineOf(f, full()))
	f.Add([]byte(`{"kind":"spawn","time":"2026-01-02T03:04:05+01:00","error":"\ud800\u0000"}` + "\n{}\n"))
	f.Add([]byte("\n\n{\"kind\":1}\n" + strings.Repeat("[", 5000)))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := newLines(bytes.NewReader(data), maxLine)
		for {
			line, err := in.next()
			if err != nil {
				require.True(t, errors.Is(err, io.EOF) || len(data) > maxLine)
				return
			}

			got, err := decode(line)
			if err != nil {
				continue
			}

			written := lineOf(t, *got)
			require.LessOrEqual(t, len(written), maxLine)
			require.Equal(t, len(written)-1, bytes.IndexByte(written, '\n'))
			again, err := decode(written)
			require.NoError(t, err)
			require.Equal(t, got, again)
			s := newSpanner(&Config{})
			_, err = json.Marshal(s.request([]*Transaction{got}))
			require.NoError(t, err)
		}
	})
}
