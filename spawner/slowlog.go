package spawner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const slowLogName = "slow"

// slowLog is the log of slow requests of php-fpm, whose first process looks at the others by ptrace. It is a FIFO, so
// that it takes no space however many requests are slow, and its end is kept in memory.
type slowLog struct {
	path string
	// after is when php-fpm looks at a request.
	after time.Duration
	fifo  *os.File

	mu   sync.Mutex
	text []byte
	// at is when the last of it came, and news is closed with more.
	at   time.Time
	news chan struct{}
}

// newSlowLog begins to read a log. php-fpm looks at its requests three times within after, so that it has looked at one
// that exceeds limit by then, unless that is a second.
func (d *socketDir) newSlowLog(limit time.Duration, id *identity) (*slowLog, error) {
	path := filepath.Join(d.path, slowLogName)
	if err := asFileUser(id.uid, func() error { return syscall.Mkfifo(path, 0o600) }); err != nil {
		return nil, &os.PathError{Op: "mkfifo", Path: path, Err: err}
	}

	// fifo(7): opened for both, it waits for no writer, and has no end between two of them.
	f, err := d.open(slowLogName, os.O_RDWR|syscall.O_NONBLOCK, id)
	if err != nil {
		return nil, err
	}

	info, err := f.Stat()
	if err == nil && info.Mode().Type() != fs.ModeNamedPipe {
		err = fmt.Errorf("%s is no FIFO any more", path)
	}

	if err = errors.Join(err, f.Chown(id.uid, id.gid)); err != nil {
		return nil, errors.Join(err, f.Close())
	}

	l := &slowLog{path: path, fifo: f, after: max(limit*3/4, time.Second).Truncate(time.Second)}
	l.news = make(chan struct{})
	go l.run()

	return l, nil
}

// run ends when the file is closed.
func (l *slowLog) run() {
	buf := make([]byte, 4<<10)
	for {
		n, err := l.fifo.Read(buf)
		if err != nil {
			return
		}

		l.mu.Lock()
		l.text = append(l.text, buf[:n]...)
		if over := len(l.text) - MaxLastOutput; over > 0 {
			l.text = l.text[:copy(l.text, l.text[over:])]
		}

		l.at = time.Now()
		close(l.news)
		l.news = make(chan struct{})
		l.mu.Unlock()
	}
}

func (l *slowLog) finish() error {
	if l == nil {
		return nil
	}

	return l.fifo.Close()
}

// ask returns the last of the log. It waits for php-fpm to look at a request that has just become slow.
func (l *slowLog) ask(ctx context.Context, c *child) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, traceTimeout)
	defer cancel()

	for {
		l.mu.Lock()
		text, fresh, news := string(l.text), !l.at.IsZero() && time.Since(l.at) < l.after, l.news
		quiet := !l.at.IsZero() && time.Since(l.at) >= traceQuietTime
		l.mu.Unlock()

		var rest <-chan time.Time
		switch {
		case fresh && quiet:
			return text, nil
		case fresh:
			rest = time.After(traceQuietTime) // which may be on its way
		}

		select {
		case <-rest:
		case <-news:
		case <-c.exited:
			return text, nil
		case <-ctx.Done():
			if text == "" {
				return "", errors.New("php-fpm has looked at no request: it does so only after " + l.after.String())
			}

			return text, nil
		}
	}
}

// isSlowLine reports whether php-fpm tells of a slow request, with its query, which may have secrets. What it says
// without is in the slow log.
func isSlowLine(line []byte) bool {
	return bytes.Contains(line, []byte("] WARNING: [pool ")) && bytes.Contains(line, []byte(" executing too slow ("))
}

// config are the lines of php-fpm's configuration.
func (l *slowLog) config() string {
	if l == nil {
		return ""
	}

	return fmt.Sprintf("slowlog = %s\nrequest_slowlog_timeout = %d\n", l.path, int(l.after/time.Second))
}
