package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// load is what one run of wrk asks for.
type load struct {
	url         string
	script      string // a file, or empty
	args        []string
	connections int
	duration    time.Duration
}

// wrkResult is what wrk found.
type wrkResult struct {
	requests int64
	rate     float64 // requests a second
	p50, p99 time.Duration
	cpu      time.Duration // of wrk itself
	refused  int64         // responses that are neither 2xx nor 3xx
	failed   int64         // errors of sockets
	timeouts int64
}

// run runs wrk with a thread for each of two processors, and fewer if there
// are fewer connections.
func (l *load) run(ctx context.Context, wrk string) (wrkResult, error) {
	args := []string{
		"--threads", strconv.Itoa(min(2, l.connections)),
		"--connections", strconv.Itoa(l.connections),
		"--duration", strconv.Itoa(int(max(l.duration, time.Second)/time.Second)) + "s",
		"--timeout", "30s", "--latency",
	}
	if l.script != "" {
		args = append(args, "--script", l.script)
	}

	args = append(args, l.url)
	if len(l.args) > 0 {
		args = append(append(args, "--"), l.args...)
	}

	cmd := exec.CommandContext(ctx, wrk, args...)
	cmd.SysProcAttr = ownGroup()

	out, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return wrkResult{}, ctx.Err()
	case err != nil:
		return wrkResult{}, fmt.Errorf("wrk %s: %w: %s", l.url, err, bytes.TrimSpace(out))
	}

	result, err := parseWrk(string(out))
	if err != nil {
		return wrkResult{}, fmt.Errorf("wrk %s: %w", l.url, err)
	}

	result.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()

	return result, nil
}

var (
	wrkPercentile = regexp.MustCompile(`^\s+(\d+)%\s+(\S+)\s*$`)
	wrkRequests   = regexp.MustCompile(`^\s+(\d+) requests in `)
	wrkSockets    = regexp.MustCompile(`^\s+Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
	wrkRefused    = regexp.MustCompile(`^\s+Non-2xx or 3xx responses: (\d+)`)
	wrkRate       = regexp.MustCompile(`^Requests/sec:\s+(\S+)`)
)

func parseWrk(out string) (wrkResult, error) {
	var r wrkResult

	var err error
	for lines := bufio.NewScanner(strings.NewReader(out)); lines.Scan() && err == nil; {
		line := lines.Text()
		if m := wrkPercentile.FindStringSubmatch(line); m != nil {
			err = r.percentile(m[1], m[2])
		} else if m := wrkRequests.FindStringSubmatch(line); m != nil {
			r.requests, err = strconv.ParseInt(m[1], 10, 64)
		} else if m := wrkSockets.FindStringSubmatch(line); m != nil {
			err = r.sockets(m[1:])
		} else if m := wrkRefused.FindStringSubmatch(line); m != nil {
			r.refused, err = strconv.ParseInt(m[1], 10, 64)
		} else if m := wrkRate.FindStringSubmatch(line); m != nil {
			r.rate, err = strconv.ParseFloat(m[1], 64)
		}
	}

	if err != nil {
		return wrkResult{}, fmt.Errorf("its output cannot be understood: %w", err)
	}

	if r.requests == 0 {
		return wrkResult{}, errors.New(strings.TrimSpace("no request got a response " + r.errors()))
	}

	return r, nil
}

func (r *wrkResult) percentile(which, value string) error {
	d, err := time.ParseDuration(value)
	if err != nil {
		return err
	}

	switch which {
	case "50":
		r.p50 = d
	case "99":
		r.p99 = d
	}

	return nil
}

func (r *wrkResult) sockets(counts []string) error {
	for i, count := range counts {
		n, err := strconv.ParseInt(count, 10, 64)
		if err != nil {
			return err
		}

		if i == len(counts)-1 {
			r.timeouts = n
		} else {
			r.failed += n
		}
	}

	return nil
}

// goodRate is the rate of the responses that are as they should be.
func (r *wrkResult) goodRate() float64 {
	return r.rate * float64(r.requests-r.refused) / float64(r.requests)
}

// errors says what went wrong, nothing if nothing did.
func (r *wrkResult) errors() string {
	var parts []string
	for _, count := range []struct {
		n    int64
		what string
	}{{r.refused, "not 2xx"}, {r.failed, "socket errors"}, {r.timeouts, "timeouts"}} {
		if count.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count.n, count.what))
		}
	}

	return strings.Join(parts, ", ")
}
