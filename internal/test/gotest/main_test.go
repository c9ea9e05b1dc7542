package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// events are those of a package in which one test fails, one is skipped, and one does less than it could; and of a
// package whose program ends in a test.
const events = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:4: no passenger\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB/c","Output":"    a_test.go:5: it is bad\n"}
{"Action":"output","Package":"p","Test":"TestB/c","Output":"    --- FAIL: TestB/c (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"TestB/c"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- FAIL: TestB (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestC/d","Output":"    a_test.go:6: shortened: 4 instead of 20\n"}
{"Action":"pass","Package":"p","Test":"TestC/d"}
{"Action":"output","Package":"p","Test":"TestC","Output":"    a_test.go:7: of no interest\n"}
{"Action":"pass","Package":"p","Test":"TestC"}
{"Action":"output","Package":"p","Test":"TestE","Output":"    a_test.go:8: PASSENGER_LONG_TESTS=1 runs it: long\n"}
{"Action":"skip","Package":"p","Test":"TestE"}
{"Action":"output","Package":"r","Test":"TestF","Output":"=== RUN   TestF\n"}
{"Action":"output","Package":"r","Test":"TestF","Output":"fatal error: it is all over\n"}
{"Action":"output","Package":"r","Output":"FAIL\tr\t0.012s\n"}
{"Action":"fail","Package":"r"}
{"Action":"output","Package":"q","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.012s\n"}
{"Action":"fail","Package":"p"}
`

func TestOutputIsOfTestsThatFailOnly(t *testing.T) {
	var out, notes strings.Builder
	require.NoError(t, filter(strings.NewReader(events), &out, &notes))
	require.Equal(t, "    a_test.go:5: it is bad\n    --- FAIL: TestB/c (0.00s)\n--- FAIL: TestB (0.00s)\n"+
		"FAIL\tr\t0.012s\n"+"fatal error: it is all over\n"+"FAIL\n"+"FAIL\tp\t0.012s\n", out.String())

	path := filepath.Join(t.TempDir(), "notes")
	require.NoError(t, os.WriteFile(path, []byte(notes.String()), 0o600))
	out.Reset()
	require.NoError(t, summarize(path, &out))
	require.Equal(t, "2 tests skipped (1: no passenger; 1: only with PASSENGER_LONG_TESTS=1), 1 shortened "+
		"(PASSENGER_LONG_TESTS=1 runs them whole)\n", out.String())
}
