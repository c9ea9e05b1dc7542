package spawner

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

const (
	// MaxCapturedOutput is how much of what a starting process prints is kept
	// for SpawnError.Output, in bytes.
	MaxCapturedOutput = 128 << 10

	maxLogLine  = 8 << 10
	maxLogQueue = 1 << 20
	// lineOverhead is about what a queued line takes beside its text.
	lineOverhead = 64
)

// output is what a process prints. Nothing here waits for anybody: what cannot
// be kept is counted.
type output struct {
	log    logr.Logger
	prefix bool

	mu         sync.Mutex
	pid        int
	captured   []byte
	dropped    int64
	capturing  bool
	queue      []logLine
	queued     int
	unlogged   int64
	idle       chan struct{} // closed when the logging goroutine ends; nil: there is none
	out, error stream
}

type logLine struct{ stream, text string }

// stream is one of a process's output streams; Write is for one goroutine at
// a time.
type stream struct {
	output  *output
	name    string
	partial []byte
}

func newOutput(log logr.Logger, prefix bool) *output {
	o := &output{log: log, prefix: prefix, capturing: true}
	o.out = stream{output: o, name: "stdout"}
	o.error = stream{output: o, name: "stderr"}
	return o
}

// started says whose output it is.
func (o *output) started(pid int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pid = pid
	o.log = o.log.WithValues("pid", pid)
}

// Write never fails.
func (s *stream) Write(p []byte) (int, error) {
	s.output.capture(p)
	n := len(p)
	for len(p) > 0 {
		piece, rest, whole := bytes.Cut(p, []byte{'\n'})
		if room := maxLogLine - len(s.partial); len(piece) > room {
			piece, rest, whole = p[:room], p[room:], true
		}
		s.partial = append(s.partial, piece...)
		p = rest
		if whole {
			s.flush()
		}
	}
	return n, nil
}

// flush logs what is there of a line.
func (s *stream) flush() {
	if line := bytes.TrimSuffix(s.partial, []byte{'\r'}); len(line) > 0 {
		s.output.enqueue(logLine{stream: s.name, text: string(line)})
	}
	s.partial = s.partial[:0]
}

// end flushes and releases memory.
func (s *stream) end() {
	s.flush()
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

func (o *output) enqueue(line logLine) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.log.Enabled() {
		return
	}
	size := len(line.text) + lineOverhead
	if o.queued+size > maxLogQueue {
		o.unlogged += int64(len(line.text))
		return
	}
	o.queue = append(o.queue, line)
	o.queued += size
	if o.idle == nil {
		o.idle = make(chan struct{})
		go o.logQueue(o.idle)
	}
}

func (o *output) logQueue(idle chan struct{}) {
	defer close(idle)
	for {
		o.mu.Lock()
		queue, unlogged, log, pid := o.queue, o.unlogged, o.log, o.pid
		o.queue, o.queued, o.unlogged = nil, 0, 0
		if len(queue) == 0 && unlogged == 0 {
			o.idle = nil
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()
		for _, line := range queue {
			text := line.text
			if o.prefix {
				text = fmt.Sprintf("App %d %s: %s", pid, line.stream, line.text)
			}
			log.Info(text, "stream", line.stream)
		}
		if unlogged > 0 {
			log.Info("the process printed faster than it could be logged", "droppedBytes", unlogged)
		}
	}
}

// drain waits until everything has been logged, but not for ever.
func (o *output) drain(most time.Duration) {
	o.mu.Lock()
	idle := o.idle
	o.mu.Unlock()
	if idle == nil {
		return
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
}
