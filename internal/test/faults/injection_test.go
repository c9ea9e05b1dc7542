//go:build linux

package faults_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// forgeries are what an attacker would like to have in a log, as they are in a
// request's target.
var forgeries = []string{
	"%0a[ E 2026 ] forged", "%0d%0atime=2026 level=ERROR msg=forged", "%1b[31mred", "\xff\xfe\x80", "\"quoted\"", `\`,
	"\u2028\u0085\u009b31m",
	strings.Repeat("x", 7000),
}

// requireSaneLines checks that each line is one record of the log, and shows
// nothing but what it is.
func requireSaneLines(t testing.TB, log string) (records int) {
	t.Helper()

	for line := range strings.Lines(log) {
		require.True(t, utf8.ValidString(line), "%q", line)
		line = strings.TrimSuffix(line, "\n")
		require.Negative(t, strings.IndexFunc(line, unicode.IsControl), "%q", line)
		require.Less(t, len(line), 40<<10)
		if strings.HasPrefix(line, "time=") {
			require.Contains(t, line, " level=")
			records++
		} else {
			require.NotContains(t, line, "forged", "not a record")
		}
	}

	return records
}

// Faults: R-58.
func TestRequestsForgeNoLogLines(t *testing.T) {
	t.Parallel()

	s := start(t, append(unlimited, "--log-level", "7")...)
	for _, forgery := range forgeries {
		target := strings.ReplaceAll(forgery, " ", "%20")
		c := s.dial(t, fmt.Sprintf("GET /abort?%s HTTP/1.1\r\nHost: x\r\nUser-Agent: %s\r\nX-Request-Id: forged "+
			"%[2]s\r\nTraceparent: %[2]s\r\n\r\n", target, forgery))
		status := c.reply().StatusCode
		require.Contains(t, []int{http.StatusBadGateway, http.StatusBadRequest}, status)
	}

	// Bytes that no target may have get nowhere.
	for _, b := range []string{"\x1b[31m", "\x00", "\x7f", "\r", "\n[ E forged"} {
		c := s.dial(t, "GET /abort?"+b+" HTTP/1.1\r\nHost: x\r\nX: "+b+"\r\n\r\n")

		// The connection may be reset behind the response.
		got, _ := io.ReadAll(c.in)
		require.Contains(t, string(got), "HTTP/1.1 400 ", "%q", b)
	}

	require.NotEmpty(t, s.lines("request failed", "status=502"))
	requireSaneLines(t, s.Stdout.String())
}

// Faults: R-58.
func TestApplicationOutputForgesNoLogLines(t *testing.T) {
	t.Parallel()
	s := start(t, append(unlimited, "--log-level", "7")...)
	c := s.client(t)
	text := "first\n[ E 2026 ] forged\n\x1b[2J\x1b[31mred\x00\x7f\r[ E " +
		"forged\n\xff\xfe\x80\n\u2028\u0085\u009b31m\ntime=2026 level=ERROR msg=forged\n"
	require.Equal(t, http.StatusOK, c.post(t, "/print", strings.NewReader(text)).StatusCode)
	require.Equal(t, http.StatusOK, c.post(t, "/print", strings.NewReader(strings.Repeat("long", megabyte/4)+
		"\nlast\n")).StatusCode)
	s.Await(t, "last", 1)
	require.GreaterOrEqual(t, requireSaneLines(t, s.Stdout.String()), 7+megabyte/(32<<10))
	require.Equal(t, megabyte/4, strings.Count(s.Stdout.String(), "long"), "split, not cut")

	for _, line := range s.lines("forged") {
		require.Contains(t, line, "stream=stdout")
	}
}

// Faults: R-58.
func TestRequestsForgeNoAccessLogLines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")

	s := start(t, append(unlimited, "--access-log", path)...)
	for _, forgery := range forgeries {
		target := strings.ReplaceAll(forgery, " ", "%20")
		s.dial(t, fmt.Sprintf("GET /serve?%s HTTP/1.1\r\nHost: x\r\nUser-Agent: %s\r\nReferer: "+
			"%[2]s\r\nX-Request-Id: %[2]s\r\n\r\n", target, forgery)).reply()
	}

	// The log may be read while a line is being written.
	var lines []string

	eventually(t, func() error {
		log, err := os.ReadFile(path)
		require.NoError(t, err)

		lines = strings.SplitAfter(string(log), "\n")
		if n := len(lines) - 1; n != len(forgeries) {
			return fmt.Errorf("there are %d lines, not %d", n, len(forgeries))
		}

		return nil
	})

	for _, line := range lines[:len(forgeries)] {
		require.NoError(t, json.Unmarshal([]byte(line), new(map[string]any)), "%q", line)
		require.True(t, utf8.ValidString(line))
		require.Equal(t, len(line)-1, strings.IndexFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }),
			"%q", line)
		require.Contains(t, line, "/serve?")
	}
}
