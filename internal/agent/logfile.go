package agent

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/ownfile"
	"github.com/gopassenger/passenger/internal/ratelog"
)

const (
	// maxQueued is how many bytes of a log may wait for the disk.
	maxQueued = 1 << 20
	// closeTime is how long the last lines may take.
	closeTime = 5 * time.Second
)

// logFile gets what an agent has to say, and writes it in a goroutine of its own:
// no request waits for a slow disk. It can be opened again by its name, after it was
// moved the file away.
type logFile struct {
	// path is empty for a standard file.
	path   string
	format logFormat
	// wake has an element when there is something to do; done is closed at the end.
	wake chan struct{}
	done chan struct{}

	mu     sync.Mutex
	queued []byte
	// dropped counts the lines that came after those in queued, when there was no room.
	dropped int
	closing bool

	// writing is held while f is written to.
	writing sync.Mutex
	f       *os.File
	// pipe is f if that is no regular file.
	pipe *pipe
	// spare is memory for the queue, cut: the last line in the file has no end.
	spare []byte
	cut   bool
	// lost counts lines that are missing at the end of the file, as when the disk is full.
	lost int
	// tell says elsewhere that lines are lost, and told is set while it was said; a nil tell says it nowhere.
	tell     func(err error)
	told     bool
	failures ratelog.Line
	// dir is the directory that the path led to when f was opened; nil means that it is unknown.
	dir os.FileInfo
}

// openLog opens the log file at path; empty means standard error.
func openLog(path string, format logFormat) (*logFile, error) {
	if path == "" {
		return newLogFile("", os.Stderr, format), nil
	}

	// Before the file is opened: if the directory changes meanwhile, it is only opened once more.
	dir := directoryOf(path)

	f, err := openLogFile(path)
	if err != nil {
		return nil, err
	}

	l := newLogFile(path, f, format)
	l.setDirectory(dir)

	return l, nil
}

// directoryOf returns the directory that the path of a file leads to now; nil means that there is none.
func directoryOf(path string) os.FileInfo {
	dir, err := os.Stat(filepath.Dir(path)) //nolint:gosec // G703: it is the operator's
	if err != nil {
		return nil
	}

	return dir
}

func (l *logFile) setDirectory(dir os.FileInfo) {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.dir = dir
}

// newLogFile returns a log file, which the caller must close.
func newLogFile(path string, f *os.File, format logFormat) *logFile {
	l := &logFile{
		path:   path,
		format: format,
		f:      f,
		pipe:   pipeOf(f),
		wake:   make(chan struct{}, 1),
		done:   make(chan struct{}),
	}
	go l.run()

	return l
}

// OpenLogFile opens a log file, for what is started with it as its output.
func OpenLogFile(path string) (*os.File, error) {
	f, err := openLogFile(path)
	return f, withOption(err, logOption)
}

func openLogFile(path string) (*os.File, error) {
	if fd := StandardFile(path); fd != 0 {
		f, err := openStandardFile(fd)
		if err != nil {
			return nil, fmt.Errorf("cannot use %s for the log: %w", path, err)
		}

		return f, nil
	}

	f, err := ownfile.Open(path, os.O_WRONLY|os.O_APPEND, 0o640)
	if errors.Is(err, syscall.ENXIO) {
		return nil, fmt.Errorf("cannot open the log file: %s is a named pipe or a socket that no program reads: start "+
			"its reader first, or name a regular file", path)
	}

	if err != nil {
		return nil, fmt.Errorf("cannot open the log file: %w", err)
	}

	return f, nil
}

// Write takes a line, which is lost when too many wait. The error is always nil.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	// What comes faster than the disk takes it must not fill the memory. A short line behind a long one that was
	// dropped is dropped, too, so that the gap is in one place.
	if l.closing || l.dropped > 0 || len(l.queued)+len(p) > maxQueued {
		l.dropped++
	} else {
		l.queued = append(l.queued, p...)
	}

	l.mu.Unlock()
	l.awake()

	return len(p), nil
}

func (l *logFile) awake() {
	select {
	case l.wake <- struct{}{}:
	default:
		// It has not begun yet, and will find the line.
	}
}

// run writes what is queued until the end.
func (l *logFile) run() {
	defer close(l.done)

	for range l.wake {
		if l.writeQueued() {
			return
		}
	}
}

// writeQueued reports whether it was the last time.
func (l *logFile) writeQueued() (last bool) {
	l.writing.Lock()
	defer l.writing.Unlock()

	// Two buffers change places, so that Write never waits for the disk.
	l.mu.Lock()
	batch, dropped := l.queued, l.dropped
	l.queued, l.dropped, last = l.spare[:0], 0, l.closing
	l.mu.Unlock()

	if len(batch) > 0 {
		l.followDirectory()
	}

	l.showGap()

	l.lost += l.write(batch)
	if dropped > 0 {
		l.lost += dropped
		l.showGap()
	}

	l.spare = batch

	return last
}

// showGap writes how many lines are missing where they are: before the lines that come after them. It needs the lock
// writing.
func (l *logFile) showGap() {
	if l.lost > 0 && l.write(l.format.lostLines(l.lost)) == 0 {
		l.lost = 0
	}
}

// write returns how many lines were not written as a whole.
func (l *logFile) write(lines []byte) (lost int) {
	if len(lines) == 0 {
		return 0
	}

	// The line that a full disk has cut must not run into the next one.
	if l.cut {
		if _, err := l.f.Write([]byte("\n")); err != nil {
			l.failed(err)
			return bytes.Count(lines, []byte("\n"))
		}

		l.cut = false
	}

	n, err := l.pipe.write(l.f, lines)
	if err != nil {
		l.cut = n > 0 && lines[n-1] != '\n'
		l.failed(err)
	} else {
		l.told = false
	}

	return bytes.Count(lines[n:], []byte("\n"))
}

// failed says that lines are lost, once until lines are written again. It needs the lock writing.
func (l *logFile) failed(err error) {
	if l.tell == nil || l.told {
		return
	}

	l.failures.Tell(func(int) {
		l.told = true
		l.tell(err)
	})
}

// tellIn says in the server's log when lines of another log are lost, and by which option that is named.
func (l *logFile) tellIn(log logr.Logger, option string) {
	l.writing.Lock()
	defer l.writing.Unlock()

	l.tell = func(err error) {
		log.Error(withOption(err, option), "cannot write to a log: its lines are lost until it works again", "option",
			option)
	}
}

// file is what is written to now, until the next reopen.
func (l *logFile) file() *os.File {
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.f
}

// errNoLogFile means that the log goes to standard error.
var errNoLogFile = errors.New("there is no log file, which --log-file would name")

// reopen opens the file again. What is written meanwhile is in the one or the
// other. Where standard output and error are the file, they become the new one.
func (l *logFile) reopen() error {
	if l.path == "" {
		return errNoLogFile
	}

	dir := directoryOf(l.path)

	f, err := openLogFile(l.path)
	if err != nil {
		return err
	}

	// Only now, when the new file is there: if it cannot be opened, the old one is written to.
	l.writing.Lock()
	defer l.writing.Unlock()

	return l.turnTo(f, dir)
}

// turnTo replaces the file, in the directory dir. It needs the lock writing.
func (l *logFile) turnTo(f *os.File, dir os.FileInfo) error {
	old := l.f
	l.f, l.pipe, l.cut, l.dir = f, pipeOf(f), false, dir

	return errors.Join(l.redirect(old), old.Close())
}

// followDirectory opens the file again if its path leads to another directory, as after a deploy that has switched a
// link: the one before may be removed, and no reader looks for a log there. A file that was moved away within its
// directory stays, until what has moved it says so. It needs the lock writing.
func (l *logFile) followDirectory() {
	if l.dir == nil {
		return
	}

	dir := directoryOf(l.path)
	if dir == nil || os.SameFile(dir, l.dir) {
		return
	}

	f, err := openLogFile(l.path)
	if err == nil {
		err = l.turnTo(f, dir)
	}

	if err != nil {
		// Said once for each directory.
		l.dir = dir
		l.write(l.format.record("the log stays in this file, although its path leads to another directory now: " +
			err.Error() + ": correct that, and run 'passenger reopen-logs'"))
	}
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

// close writes what is queued, if the disk takes it in time. What is written later is
// lost. It may be called more than once, and of nothing.
func (l *logFile) close() error {
	if l == nil {
		return nil
	}

	l.mu.Lock()
	before := l.closing
	l.closing = true
	l.mu.Unlock()

	// Of two calls only the first waits, and closes the file.
	if before {
		return nil
	}

	l.awake()
	late := time.NewTimer(closeTime)
	defer late.Stop()

	select {
	case <-l.done:
	case <-late.C:
		return fmt.Errorf("the last lines of the log %s are lost: the disk has not taken them within %s", l.f.Name(),
			closeTime)
	}

	if l.path == "" {
		return nil
	}

	return l.f.Close()
}
