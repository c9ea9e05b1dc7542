package agent

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/gopassenger/passenger/internal/ownfile"
)

// logFile gets what an agent has to say. It can be opened anew by its name, after
// somebody has moved the file away.
type logFile struct {
	path string

	mu sync.RWMutex
	f  *os.File
	// lost counts what could not be written, as when the disk is full.
	lost atomic.Int64
}

// openLog opens the log file at path; empty: standard error.
func openLog(path string) (*logFile, error) {
	l := &logFile{path: path, f: os.Stderr}
	if path == "" {
		return l, nil
	}
	f, err := openLogFile(path)
	if err != nil {
		return nil, err
	}
	l.f = f
	return l, nil
}

// OpenLogFile opens a log file, for what is started with it as its output.
func OpenLogFile(path string) (*os.File, error) { return openLogFile(path) }

func openLogFile(path string) (*os.File, error) {
	f, err := ownfile.Open(path, os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return nil, fmt.Errorf("cannot open the log file: %w", err)
	}
	return f, nil
}

// Write says how many lines were lost before, as soon as there is room again.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if lost := l.lost.Swap(0); lost > 0 {
		if _, err := fmt.Fprintf(l.f, "passenger: %d lines of this log could not be written\n", lost); err != nil {
			l.lost.Add(lost)
		}
	}
	n, err := l.f.Write(p)
	if err != nil {
		l.lost.Add(1)
	}
	return n, err
}

// file is what is written to now, until the next reopen.
func (l *logFile) file() *os.File {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.f
}

// errNoLogFile: what is logged goes to standard error.
var errNoLogFile = errors.New("there is no log file, which --log-file would name")

// reopen opens the file anew. What is written meanwhile is in the one or the
// other. Where standard output and error are the file, they become the new one.
func (l *logFile) reopen() error {
	if l.path == "" {
		return errNoLogFile
	}
	f, err := openLogFile(l.path)
	if err != nil {
		return err
	}
	l.mu.Lock()
	old := l.f
	l.f = f
	l.mu.Unlock()
	return errors.Join(l.redirect(old), old.Close())
}

// redirect lets standard output and error follow, if they are the old file.
func (l *logFile) redirect(old *os.File) error {
	was, err := old.Stat()
	if err != nil {
		return err
	}
	for _, standard := range []*os.File{os.Stdout, os.Stderr} {
		if is, err := standard.Stat(); err != nil || !os.SameFile(is, was) {
			continue
		}
		if err := duplicate(l.f, standard); err != nil {
			return err
		}
	}
	return nil
}

// close closes the file, if there is one.
func (l *logFile) close() error {
	if l == nil || l.path == "" {
		return nil
	}
	return l.f.Close()
}
