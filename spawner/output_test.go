package spawner

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"
)

// sink keeps the lines that are logged.
type sink struct {
	mu    sync.Mutex
	lines []string
}

func (s *sink) logger(before func()) logr.Logger {
	return funcr.New(func(_, args string) {
		before()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lines = append(s.lines, args)
	}, funcr.Options{})
}

func (s *sink) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", maxLogLine)
	for name, test := range map[string]struct {
		writes, lines []string
	}{
		"one write":     {[]string{"a\nb\n"}, []string{"a", "b"}},
		"many writes":   {[]string{"a", "b\nc", "\n"}, []string{"ab", "c"}},
		"no end":        {[]string{"a"}, []string{"a"}},
		"Windows":       {[]string{"a\r\nb\r\n"}, []string{"a", "b"}},
		"empty ones":    {[]string{"\n\na\n\n"}, []string{"a"}},
		"just fits":     {[]string{long + "\n"}, []string{long}},
		"too long":      {[]string{long + "y\n"}, []string{long, "y"}},
		"much too long": {[]string{long, long, long + "\n"}, []string{long, long, long}},
		"too long, cut in a letter": {
			[]string{long[:maxLogLine-1] + "é\n"}, []string{long[:maxLogLine-1], "é"},
		},
		"too long, with a letter in two writes": {
			[]string{long[:maxLogLine-3] + "\xf0\x9f\x98", "\x80y\n"}, []string{long[:maxLogLine-3], "😀y"},
		},
		"too long and wild": {
			[]string{long[:maxLogLine-2] + "\xff\x80\x80\n"}, []string{long[:maxLogLine-2] + "\xff\x80", "\x80"},
		},
		"nothing":          {nil, nil},
		"control and wild": {[]string{"\x1b[0m\xff\n"}, []string{"\x1b[0m\xff"}},
	} {
		t.Run(name, func(t *testing.T) {
			var lines []string
			o := newOutput(logr.Discard(), false)

			o.log = logr.New(collect(func(s string) { lines = append(lines, s) }))
			for _, w := range test.writes {
				n, err := o.out.Write([]byte(w))
				require.NoError(t, err)
				require.Equal(t, len(w), n)
			}

			o.out.end()
			o.end(time.Minute)
			require.Equal(t, test.lines, lines)
		})
	}
}

// collect is a sink that takes messages as they are.
type collect func(string)

func (collect) Init(logr.RuntimeInfo)              {}
func (collect) Enabled(int) bool                   { return true }
func (c collect) Info(_ int, msg string, _ ...any) { c(msg) }
func (collect) Error(error, string, ...any)        {}
func (c collect) WithValues(...any) logr.LogSink   { return c }
func (c collect) WithName(string) logr.LogSink     { return c }

func TestFieldsAndPrefix(t *testing.T) {
	s := &sink{}
	o := newOutput(s.logger(func() {}).WithValues("app", "shop"), true)
	o.started(7)
	_, _ = o.error.Write([]byte("hello\n"))
	o.drain(time.Minute)
	require.Equal(t, []string{`"level"=0 "msg"="App 7 stderr: hello" "app"="shop" "pid"=7 "stream"="stderr"`}, s.all())
}

func TestCaptureKeepsTheEnd(t *testing.T) {
	o := newOutput(logr.Discard(), false)
	line := strings.Repeat("x", 999) + "\n"

	const lines = 1000
	for range lines {
		_, _ = o.out.Write([]byte(line))
	}

	_, _ = o.error.Write([]byte("the end"))
	captured, dropped := o.release()
	require.Len(t, captured, MaxCapturedOutput)
	require.True(t, strings.HasSuffix(captured, line+"the end"))
	require.Equal(t, int64(lines*len(line)+len("the end")-MaxCapturedOutput), dropped)

	o = newOutput(logr.Discard(), false)
	_, _ = o.out.Write([]byte("start"))
	_, _ = o.out.Write([]byte(strings.Repeat("y", MaxCapturedOutput+3) + "z"))
	captured, dropped = o.release()
	require.Len(t, captured, MaxCapturedOutput)
	require.Equal(t, int64(len("start")+4), dropped)
	require.Equal(t, byte('z'), captured[len(captured)-1])
}

func TestStuckLogDoesNotHoldTheApplication(t *testing.T) {
	gate := make(chan struct{})
	s := &sink{}
	o := newOutput(s.logger(func() { <-gate }), false)
	line := []byte(strings.Repeat("x", 999) + "\n")

	const lines = 10_000
	for range lines {
		_, _ = o.out.Write(line)
	}

	o.mu.Lock()
	require.LessOrEqual(t, o.queued, maxLogQueue)
	unlogged := o.unlogged
	o.mu.Unlock()
	require.Positive(t, unlogged)
	o.end(time.Millisecond)
	close(gate)
	o.end(time.Minute)
	logged := s.all()
	require.Less(t, len(logged), lines)
	require.Contains(t, strings.Join(logged, "\n"), `"droppedBytes"=`)
}

// lines is an Output that keeps them.
type lines struct {
	mu     sync.Mutex
	all    []string
	closed int
}

func (l *lines) Line(pid int, stream, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, fmt.Sprintf("%d %s %s", pid, stream, text))
}

func (l *lines) Close() { l.closed++ }

func TestLinesGoToOutputInsteadOfLogger(t *testing.T) {
	s, to := &sink{}, &lines{}
	o := newOutput(s.logger(func() {}), false)
	o.open = func() Output { return to }
	o.started(7)
	_, _ = o.error.Write([]byte("hello\nwor"))
	_, _ = o.out.Write([]byte("other\n"))
	o.error.end()
	o.out.end()
	o.end(time.Minute)
	require.Equal(t, []string{"7 stderr hello", "7 stdout other", "7 stderr wor"}, to.all)
	require.Equal(t, 1, to.closed)
	require.Empty(t, s.all())
}

// What exceeds a process's share is dropped, and told once a second with its size; what
// follows a pause is whole again.
func TestFloodIsCutAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 10 << 10
		s, to := &sink{}, &lines{}
		o := newOutput(s.logger(func() {}), false)
		o.open, o.flood = func() Output { return to }, newFlood(rate)
		o.started(7)
		line := []byte(strings.Repeat("x", 99) + "\n")
		began := time.Now()

		printed := 0
		for time.Since(began) < 3*time.Second {
			_, _ = o.error.Write(line)
			printed += 99
		}

		const cost = 99 + 1 + lineOverhead
		to.mu.Lock()
		most := (outputBurst + 3) * rate / cost
		require.InDelta(t, most, len(to.all), 2)
		logged := len(to.all)
		to.mu.Unlock()

		// It reads slowly meanwhile.
		require.InDelta(t, 3*floodRate*99/(100+lineCost), printed, floodRate/10)

		time.Sleep(outputBurst * time.Second) // of virtual time
		_, _ = o.out.Write(bytes.Repeat(line, outputBurst*rate/cost))
		o.end(time.Minute)
		require.Len(t, to.all, logged+outputBurst*rate/cost)
		told := s.all()
		require.InDelta(t, 3, len(told), 1, "one a second")

		dropped := 0
		for _, record := range told {
			var n int
			_, number, found := strings.Cut(record, `"droppedBytes"=`)
			require.True(t, found, record)
			_, err := fmt.Sscan(number, &n)
			require.NoError(t, err)
			dropped += n
		}

		require.Equal(t, printed-99*logged, dropped)
	})
}

func TestFloodOfEmptyLinesIsSlowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutput(logr.Discard(), false)
		o.flood = newFlood(1 << 10)
		began := time.Now()
		_, _ = o.out.Write(bytes.Repeat([]byte("\n"), floodRate/lineCost/10))
		require.GreaterOrEqual(t, time.Since(began), 90*time.Millisecond-maxLate)

		o.flood = newFlood(-1)
		began = time.Now()
		_, _ = o.out.Write(bytes.Repeat([]byte("\n"), floodRate/lineCost/10))
		require.Zero(t, time.Since(began), "there is no limit")
		o.end(time.Minute)
	})
}
