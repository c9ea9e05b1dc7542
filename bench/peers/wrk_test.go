package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseWrk(t *testing.T) {
	const head = `Running 2s test @ http://127.0.0.1:4460/
  2 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     6.67ms    4.72ms  49.02ms   79.63%
    Req/Sec     1.29k   368.85     2.11k    67.50%
`

	tests := map[string]struct {
		out     string
		want    wrkResult
		errors  string
		problem string
	}{
		"all is well": {
			out: head + `  Latency Distribution
     50%  575.00us
     75%    8.46ms
     90%   12.14ms
     99%    1.20s 
  5159 requests in 2.01s, 1.14MB read
Requests/sec:   2567.41
Transfer/sec:    581.68KB
`,
			want: wrkResult{
				requests: 5159,
				rate:     2567.41,
				p50:      575 * time.Microsecond,
				p99:      1200 * time.Millisecond,
			},
		},
		"errors": {
			out: head + `  Latency Distribution
     50%    5.75ms
     99%   24.55ms
  5159 requests in 2.01s, 1.14MB read
  Socket errors: connect 1, read 20, write 3, timeout 4
  Non-2xx or 3xx responses: 12
Requests/sec:   2567.41
`,
			want: wrkResult{
				requests: 5159,
				rate:     2567.41,
				p50:      5750 * time.Microsecond,
				p99:      24550 * time.Microsecond,
				refused:  12,
				failed:   24,
				timeouts: 4,
			},
			errors: "12 not 2xx, 24 socket errors, 4 timeouts",
		},
		"no response": {
			out: head + `  0 requests in 2.01s, 0.00B read
  Socket errors: connect 0, read 0, write 0, timeout 16
Requests/sec:      0.00
`,
			problem: "no request got a response 16 timeouts",
		},
		"no result": {out: "unable to connect\n", problem: "no request got a response"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseWrk(test.out)
			if test.problem != "" {
				require.EqualError(t, err, test.problem)
				return
			}

			require.NoError(t, err)
			require.Equal(t, test.want, got)
			require.Equal(t, test.errors, got.errors())
		})
	}
}

func TestGoodRate(t *testing.T) {
	r := wrkResult{requests: 1000, refused: 250, rate: 200}
	require.InDelta(t, 150, r.goodRate(), 1e-9)
}
