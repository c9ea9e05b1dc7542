package hooks

import (
	"bytes"
	"sync"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/redact"
)

const (
	// maxOutput is how much of what one script prints is logged.
	maxOutput  = 1 << 20
	maxLogLine = 8 << 10
	// lineOverhead is about what a logged line takes beside its text.
	lineOverhead = 64
)

// output logs what a script prints, line by line, and counts what is too much.
type output struct {
	mu      sync.Mutex
	log     logr.Logger
	secrets *redact.Redactor
	streams []*stream
	logged  int
	dropped int64
	ended   bool
}

// stream is the stdout or stderr of a script.
type stream struct {
	output  *output
	name    string
	partial []byte
}

func (o *output) stream(name string) *stream {
	s := &stream{output: o, name: name}
	o.streams = append(o.streams, s)
	return s
}

// Write never fails.
func (s *stream) Write(p []byte) (int, error) {
	s.output.mu.Lock()
	defer s.output.mu.Unlock()

	n := len(p)
	for len(p) > 0 && !s.output.ended {
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

// flush needs the lock.
func (s *stream) flush() {
	line := bytes.TrimSuffix(s.partial, []byte{'\r'})
	s.partial = s.partial[:0]

	o := s.output
	switch size := len(line) + lineOverhead; {
	case len(line) == 0:
	// Once a line is left out, so are all that follow: what is logged has no gaps.
	case o.dropped > 0, o.logged+size > maxOutput:
		o.dropped += int64(len(line))
	default:
		o.logged += size
		o.log.Info(o.secrets.Text(string(line)), "stream", s.name)
	}
}

// end logs what is there of a last line and what was dropped. What is written
// afterwards is ignored.
func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()

	for _, s := range o.streams {
		s.flush()
	}

	o.ended = true
	if o.dropped > 0 {
		o.log.Info("the hook script printed more than is logged", "droppedBytes", o.dropped)
	}
}
