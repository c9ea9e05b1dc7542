package ustrouter

import (
	"context"
	"errors"

	"github.com/go-logr/logr"
)

// Sink keeps transactions, or passes them on. Write may be called by several goroutines
// at once.
type Sink interface {
	// Write takes a transaction, which is the sink's then. What it cannot keep
	// it drops and counts.
	Write(t *Transaction)
	// Close keeps what was written until ctx ends. It is called once, after all
	// writes.
	Close(ctx context.Context) error
}

// Sinks are what a configuration names.
type Sinks struct {
	// File and OTLP are nil where there is none.
	File *File
	OTLP *OTLP
}

var _ Sink = (*Sinks)(nil)

// Open makes the sinks of a configuration, which may be none. log gets what goes
// wrong; the zero value discards it.
func Open(c Config, log logr.Logger) (*Sinks, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}

	s := &Sinks{}
	if c.File != "" {
		file, err := OpenFile(c.File, log)
		if err != nil {
			return nil, err
		}

		s.File = file
	}

	if c.OTLPEndpoint != "" {
		s.OTLP = newOTLP(&c, newTransport(), log)
	}

	return s, nil
}

func (s *Sinks) all() []Sink {
	var all []Sink
	if s.File != nil {
		all = append(all, s.File)
	}

	if s.OTLP != nil {
		all = append(all, s.OTLP)
	}

	return all
}

// Write gives t to all.
func (s *Sinks) Write(t *Transaction) {
	for _, sink := range s.all() {
		own := *t
		sink.Write(&own)
	}
}

// Reopen opens the file again by its name, if there is one, after it was moved away.
func (s *Sinks) Reopen() error {
	if s.File == nil {
		return nil
	}

	return s.File.Reopen()
}

// Close closes all.
func (s *Sinks) Close(ctx context.Context) error {
	sinks := s.all()

	errs := make([]error, 0, len(sinks))
	for _, sink := range sinks {
		errs = append(errs, sink.Close(ctx))
	}

	return errors.Join(errs...)
}
