package spawner

import (
	"bytes"
	"fmt"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-logr/logr"
)

const (
	// MaxCapturedOutput is how much of what a starting process prints is kept
	// for SpawnError.Output, in bytes.
	MaxCapturedOutput = 128 << 10

	maxLogLine  = 32 << 10
	maxLogQueue = 1 << 20
	// lineOverhead is about what a queued line takes beside its text.
	lineOverhead = 64
	// dropInterval is the time between two log messages about output of a process that was dropped.
	dropInterval = time.Second
)

// Output takes the lines that a process prints, in the place of Config.Logger. Its
// methods are called by one goroutine at a time, which holds up no other: lines are
// dropped and counted when it cannot keep up.
type Output interface {
	// Line gets a line of stdout or stderr, without its end. It is at most 32 KiB; longer
	// ones come in pieces.
	Line(pid int, stream, text string)
	// Close is called once, when nothing more will come.
	Close()
}

// output is what a process prints. What cannot be kept is counted.
type output struct {
	log    logr.Logger
	prefix bool
	// open returns where lines go; nil means log.
	open func() Output

	mu       sync.Mutex
	pid      int
	captured []byte
	dropped  int64
	// last is the end of all that was printed, twice as much as is shown; keeping reports whether it is kept.
	last    []byte
	keeping bool
	// ignore reports whether a line is not to be shown at all; nil means that none is.
	ignore    func(line []byte) bool
	capturing bool
	flood     flood
	queue     []logLine
	queued    int
	unlogged  int64
	// due reports whether unlogged is to be logged now, and not when toldLater fires.
	due        bool
	toldLater  *time.Timer
	idle       chan struct{} // closed when the logging goroutine ends; nil means that there is none
	to         Output        // nil means log
	ended      bool
	out, error stream

	// logMu guards requests.
	logMu sync.Mutex
	// requests has the lines of the requests' own error streams.
	requests stream
}

type logLine struct{ stream, text string }

// stream is one of a process's output streams; Write is for one goroutine at
// a time.
type stream struct {
	output  *output
	name    string
	partial []byte
	// owed is how much was read beyond the process's share since the last pause.
	// paused is when that was to end.
	owed   int
	paused time.Time
}

func newOutput(log logr.Logger, prefix bool) *output {
	o := &output{log: log, prefix: prefix, capturing: true}
	o.out = stream{output: o, name: "stdout"}
	o.error = stream{output: o, name: "stderr"}
	o.requests = stream{output: o, name: "stderr"}

	return o
}

// started says whose output it is. end is to be called then.
func (o *output) started(pid int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pid = pid
	o.log = o.log.WithValues("pid", pid)
	if o.open != nil {
		o.to = o.open()
	}
}

// Write never fails. It waits a little when the process prints more than its share, so
// that a flood of output leaves processors to others.
func (s *stream) Write(p []byte) (int, error) {
	s.output.capture(p)

	n, beyond := len(p), 0
	for len(p) > 0 {
		piece, rest, whole := bytes.Cut(p, []byte{'\n'})
		room := maxLogLine - len(s.partial)
		tooLong := len(piece) > room
		if tooLong {
			piece, rest, whole = p[:room], p[room:], true
		}

		s.partial = append(s.partial, piece...)
		p = rest

		next := 0
		if tooLong {
			next = cutLetter(s.partial)
		}

		if whole && !s.flush(next) {
			beyond++
		}
	}

	if beyond > 0 {
		s.owed += n + beyond*lineCost
	}

	if s.owed >= floodPiece {
		s.paused = s.output.flood.pause(s.owed, s.paused)
		s.owed = 0
	}

	return n, nil
}

// logLine logs a line that the process has written elsewhere than to its streams.
func (o *output) logLine(line []byte) {
	o.logMu.Lock()
	defer o.logMu.Unlock()

	// A copy, since the line may have room behind it that is its caller's.
	_, _ = o.requests.Write(append(bytes.Clone(line), '\n'))
}

// cutLetter returns how many bytes there are at the end of a piece of a letter in UTF-8 that continues behind it.
func cutLetter(piece []byte) int {
	for n := 1; n < min(utf8.UTFMax, len(piece)); n++ {
		if last := piece[len(piece)-n:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}

			return n
		}
	}

	return 0
}

// flush logs what is there of a line, but for the last bytes, next, which begin the next piece. It reports whether
// that is within the process's share.
func (s *stream) flush(next int) (within bool) {
	end := len(s.partial) - next
	line := bytes.TrimSuffix(s.partial[:end], []byte{'\r'})
	if within = true; s.output.ignore == nil || !s.output.ignore(line) {
		within = s.output.enqueue(s.name, line)
	}

	s.partial = s.partial[:copy(s.partial, s.partial[end:])]

	return within
}

// end flushes and releases memory.
func (s *stream) end() {
	s.flush(0)
	s.partial = nil
}

func (o *output) capture(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.capturing {
		return
	}

	if cut := len(p) - MaxCapturedOutput; cut > 0 {
		o.dropped += int64(len(o.captured) + cut)
		o.captured, p = o.captured[:0], p[cut:]
	}

	o.captured = append(o.captured, p...)

	// Twice the limit, so that bytes are not moved at each write.
	if len(o.captured) > 2*MaxCapturedOutput {
		o.trim()
	}
}

func (o *output) trim() {
	if cut := len(o.captured) - MaxCapturedOutput; cut > 0 {
		o.dropped += int64(cut)
		o.captured = o.captured[:copy(o.captured, o.captured[cut:])]
	}
}

// mark is how many bytes were captured or dropped until now.
func (o *output) mark() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped + int64(len(o.captured))
}

// printedSince is what of captured came after mark.
func printedSince(mark int64, captured string, dropped int64) string {
	return captured[min(max(mark-dropped, 0), int64(len(captured))):]
}

// release ends the capture and returns what it has.
func (o *output) release() (captured string, dropped int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.trim()
	captured, o.captured, o.capturing = string(o.captured), nil, false

	return captured, o.dropped
}

// enqueue reports whether the line is within the process's share, and the log keeps up.
// Empty lines count and are not logged.
func (o *output) enqueue(stream string, text []byte) (within bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.keeping && len(text) > 0 {
		o.keepLast(text)
	}

	// A flood that is logged nowhere takes processor time all the same.
	if o.to == nil && !o.log.Enabled() {
		return o.flood.take(len(text))
	}

	within = o.flood.take(len(text))
	if len(text) == 0 {
		return within
	}

	size := len(text) + lineOverhead
	if !within || o.queued+size > maxLogQueue {
		o.drop(int64(len(text)))
		return within
	}

	o.queue = append(o.queue, logLine{stream: stream, text: string(text)})
	o.queued += size
	o.work()

	// Behind: the log gets time to catch up, before anything has to be dropped.
	return o.queued <= maxLogQueue/2
}

// drop counts what is not logged, which the log tells now and then. It needs the lock,
// as work.
func (o *output) drop(bytes int64) {
	o.unlogged += bytes
	if o.toldLater == nil {
		o.toldLater = time.AfterFunc(dropInterval, o.tellDrops)
	}
}

// tellDrops lets the log tell what it has not got.
func (o *output) tellDrops() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.toldLater = nil
	o.due = o.unlogged > 0
	if o.due {
		o.work()
	}
}

func (o *output) work() {
	if o.idle == nil {
		o.idle = make(chan struct{})
		go o.logQueue(o.idle)
	}
}

func (o *output) logQueue(idle chan struct{}) {
	defer close(idle)

	for {
		o.mu.Lock()
		queue, unlogged, log, pid, to := o.queue, int64(0), o.log, o.pid, o.to
		if o.due {
			unlogged, o.unlogged, o.due = o.unlogged, 0, false
		}

		o.queue, o.queued = nil, 0
		if len(queue) == 0 && unlogged == 0 {
			// A process that prints nothing has no goroutine for it: enqueue starts another one.
			o.idle = nil
			if o.ended {
				o.close()
			}

			o.mu.Unlock()

			return
		}

		// Without the lock, since a slow log must not stop those who write.
		o.mu.Unlock()

		for _, line := range queue {
			if to != nil {
				to.Line(pid, line.stream, line.text)
				continue
			}

			text := line.text
			if o.prefix {
				text = fmt.Sprintf("App %d %s: %s", pid, line.stream, line.text)
			}

			log.Info(text, "stream", line.stream)
		}

		if unlogged > 0 {
			log.Info("the process printed faster than it could be logged, or than max_output_rate allows: lines "+
				"were dropped",
				"droppedBytes", unlogged)
		}
	}
}

// close needs the lock.
func (o *output) close() {
	if o.to != nil {
		o.to.Close()
		o.to = nil
	}
}

// end tells what was dropped, and waits until everything has been logged, but not for
// ever. Nothing more comes.
func (o *output) end(timeout time.Duration) {
	o.mu.Lock()
	o.ended = true
	if o.toldLater != nil && o.toldLater.Stop() {
		o.toldLater = nil
		o.due = o.unlogged > 0
	}

	o.work()
	o.mu.Unlock()
	o.drain(timeout)
}

// drain waits until everything has been logged, but not for ever.
func (o *output) drain(timeout time.Duration) {
	o.mu.Lock()
	idle := o.idle
	o.mu.Unlock()
	if idle == nil {
		return
	}

	timer := time.NewTimer(timeout)
	defer timer.Stop()

	select {
	case <-idle:
	case <-timer.C:
	}
}
