package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/admin"
	"github.com/gopassenger/passenger/internal/agent"
)

const (
	// tailWindow is how much of a log's end is looked through for its last lines.
	tailWindow = 64 << 20
	// followInterval is the time between two looks for more.
	followInterval = 200 * time.Millisecond
)

// logTail shows the end of a log.
type logTail struct {
	path string
	// lines is how many to begin with; a negative value means all.
	lines  int
	follow bool
	// window is how much of the end is looked through; zero means tailWindow. interval is the time between two looks
	// for more; zero means followInterval.
	window   int64
	interval time.Duration
	only     *appFilter          // nil means all lines
	show     func(string) string // nil means as they are
	out      io.Writer

	file   *os.File
	reader *bufio.Reader
	// partial is the beginning of a line, and at how far the file was read.
	partial string
	at      int64
}

func (t *logTail) run(ctx context.Context) error {
	if err := t.open(); err != nil {
		return err
	}

	// It was only read.
	defer func() { _ = t.file.Close() }()
	if err := t.showEnd(); err != nil || !t.follow {
		return err
	}

	ticker := time.NewTicker(cmp.Or(t.interval, followInterval))
	defer ticker.Stop()

	for {
		if err := t.read(t.print); err != nil {
			return err
		}

		if moved, err := t.turn(); err != nil || moved {
			if err != nil {
				return err
			}

			continue
		}

		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// open opens what cannot hold this program up.
func (t *logTail) open() error {
	f, err := os.OpenFile(t.path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if errors.Is(err, os.ErrPermission) {
		return exit(1, "ERROR: the log %s cannot be read: permission denied. Please try again with 'sudo'.",
			admin.Printable(t.path))
	}

	if errors.Is(err, os.ErrNotExist) {
		return exit(1, "ERROR: the log %s does not exist: it was removed or moved away, and 'passenger reopen-logs' "+
			"makes another one.", admin.Printable(t.path))
	}

	if err != nil {
		return exit(1, "ERROR: the log cannot be read: %s.", admin.Printable(err.Error()))
	}

	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = exit(1, "ERROR: the log %s is no regular file: ask the program that reads it.", admin.Printable(t.path))
	}

	if err != nil {
		return errors.Join(err, f.Close())
	}

	t.file, t.reader, t.at, t.partial = f, bufio.NewReader(f), 0, ""

	return nil
}

// showEnd shows the last lines.
func (t *logTail) showEnd() error {
	info, err := t.file.Stat()
	if err != nil {
		return err
	}

	if t.lines < 0 {
		return t.end(t.print)
	}

	window := cmp.Or(t.window, tailWindow)
	if info.Size() > window {
		if err := t.cut(info.Size() - window); err != nil {
			return err
		}
	}

	var last []string
	err = t.end(func(line string) error {
		// Only every so many lines, since each time moves all that stay.
		if last = append(last, line); len(last) > 2*t.lines {
			last = append(last[:0], last[len(last)-t.lines:]...)
		}

		return nil
	})
	if err != nil {
		return err
	}

	for _, line := range last[max(0, len(last)-t.lines):] {
		if err := t.print(line); err != nil {
			return err
		}
	}

	return nil
}

// cut leaves out what is before an offset, with the rest of a line that has begun there. Whose line that is cannot be
// known any more.
func (t *logTail) cut(before int64) (err error) {
	// The byte before tells whether a line begins at the offset.
	if t.at, err = t.file.Seek(before-1, io.SeekStart); err != nil {
		return err
	}

	rest, err := t.reader.ReadString('\n')

	t.at += int64(len(rest))
	if errors.Is(err, io.EOF) {
		return nil
	}

	return err
}

// end reads to the end, with what has no line break there if nothing follows it.
func (t *logTail) end(do func(string) error) error {
	if err := t.read(do); err != nil || t.follow {
		return err
	}

	return t.flush(do)
}

// flush takes what is there of a line for a whole one.
func (t *logTail) flush(do func(string) error) error {
	if t.partial == "" {
		return nil
	}

	line := t.partial + "\n"
	t.partial = ""
	if t.only == nil || t.only.has(line) {
		return do(line)
	}

	return nil
}

// read reads the whole lines that are there.
func (t *logTail) read(do func(string) error) error {
	for {
		piece, err := t.reader.ReadString('\n')
		t.at += int64(len(piece))
		t.partial += piece
		if errors.Is(err, io.EOF) {
			return nil
		}

		if err != nil {
			return err
		}

		line := t.partial
		t.partial = ""
		if t.only != nil && !t.only.has(line) {
			continue
		}

		if err := do(line); err != nil {
			return err
		}
	}
}

// turn continues with the file that has replaced the one that was read, or with
// the beginning of one that was cut.
func (t *logTail) turn() (turned bool, err error) {
	now, err := t.file.Stat()
	if err != nil {
		return false, err
	}

	there, err := os.Stat(t.path)
	if err != nil {
		return false, nil //nolint:nilerr // it is about to be made
	}

	if os.SameFile(now, there) && now.Size() >= t.at {
		return false, nil
	}

	// What was written before it was moved comes first.
	if err := t.read(t.print); err != nil {
		return false, err
	}

	if err := t.flush(t.print); err != nil {
		return false, err
	}

	old := t.file
	if err := t.open(); err != nil {
		return false, err
	}

	return true, old.Close()
}

func (t *logTail) print(line string) error {
	if t.show != nil {
		line = t.show(line)
	}

	_, err := io.WriteString(t.out, line)

	return err
}

// appFilter finds what is about an application in a server's log, in any format.
type appFilter struct {
	app *agent.AppLog
	// before is what was said of the line before, which those of a value belong to.
	before bool
}

var (
	timeOfDay = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\d\d:\d\d:\d\d `) })
	prefix    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(.*?)\[\d+\] `) })
)

func (f *appFilter) has(line string) bool {
	// The lines of a value of several stand below their record, and begin with two spaces.
	if !strings.HasPrefix(line, "  ") {
		f.before = f.isAbout(strings.TrimRight(line, "\n"))
	}

	return f.before
}

func (f *appFilter) isAbout(line string) bool {
	switch {
	case strings.HasPrefix(line, "{"):
		var record struct {
			App string `json:"app"`
		}

		return json.Unmarshal([]byte(line), &record) == nil && record.App == f.app.Name
	case strings.HasPrefix(line, "time="), timeOfDay().MatchString(line):
		app, ok := textValue(line, "app")
		return ok && app == f.app.Name
	}

	m := prefix().FindStringSubmatch(line)
	if m == nil {
		return false
	}

	rest, ok := strings.CutPrefix(m[1], f.app.Short)

	// Behind the slash is a companion's name.
	return ok && (rest == "" || rest[0] == '/')
}

// textValue returns the value of a key in a line of keys and values. What is within
// quotes is no key.
func textValue(line, key string) (string, bool) {
	for at := 0; at < len(line); {
		word := line[at:]
		if rest, ok := strings.CutPrefix(word, key+"="); ok {
			if value, err := unquotedPrefix(rest); err == nil {
				return value, true
			}

			value, _, _ := strings.Cut(rest, " ")

			return value, true
		}

		// To the next word.
		for at < len(line) && line[at] != ' ' {
			if line[at] == '"' && line[at-min(at, 1)] == '=' {
				at += max(quotedLen(line[at:])-1, 0)
			}

			at++
		}

		at++
	}

	return "", false
}

// unquotedPrefix is the text in quotes that s begins with.
func unquotedPrefix(s string) (string, error) {
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", err
	}

	return strconv.Unquote(quoted)
}

// quotedLen is the length of the text in quotes that s begins with.
func quotedLen(s string) int {
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return 0
	}

	return len(quoted)
}
