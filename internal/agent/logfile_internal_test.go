package agent

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/test/leakgate"
)

// Whoever logs does not wait for a reader that has stopped, and what is lost by that
// is counted when it reads again, in the place of the lines that are missing.
func TestLogWaitsForNoReader(t *testing.T) {
	leakgate.Check(t)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	l := newLogFile("", w, plainFormat)
	line := func(i int) string { return fmt.Sprintf("%04d", i) + strings.Repeat("x", 1019-i%2*1000) + "\n" }

	// Every second line is a short one, for which there is room when there is none for a long one.
	const written = 4 * maxQueued / 1024
	for i := range written {
		n, err := l.Write([]byte(line(i)))
		require.NoError(t, err)
		require.Len(t, line(i), n)
	}

	in := bufio.NewReader(r)

	read, lost := 0, 0
	for read+lost < written {
		text, err := in.ReadString('\n')
		require.NoError(t, err)
		if text == line(read+lost) {
			read++
			continue
		}

		var more int
		_, err = fmt.Sscanf(text, "passenger: %d lines of this log could not be written\n", &more)
		require.NoError(t, err, text)
		lost += more
	}

	require.Positive(t, lost)
	require.GreaterOrEqual(t, read, maxQueued/1024)
	require.NoError(t, l.close())
	require.NoError(t, w.Close())
	rest, err := io.ReadAll(in)
	require.NoError(t, err)
	require.Empty(t, string(rest))
}

// What was logged before the end is in the file, and what is logged later returns no
// error.
func TestLogEnds(t *testing.T) {
	leakgate.Check(t)
	path := filepath.Join(t.TempDir(), "log")
	l, err := openLog(path, plainFormat)
	require.NoError(t, err)

	var want strings.Builder
	for i := range 1000 {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		_, err := l.Write([]byte(line))
		require.NoError(t, err)
	}

	require.NoError(t, l.close())
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, want.String(), string(got))
	_, err = l.Write([]byte("late\n"))
	require.NoError(t, err)
	require.NoError(t, l.close())
	require.NoError(t, (*logFile)(nil).close())
}

// A line that was cut short ends before the next one.
func TestLogLineIsCut(t *testing.T) {
	leakgate.Check(t)
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	l := &logFile{f: f, cut: true}
	require.Zero(t, l.write([]byte("next\n")))
	require.False(t, l.cut)
	require.NoError(t, f.Close())
	require.Equal(t, 2, l.write([]byte("a\nb\n")), "the file is closed")
	got, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	require.Equal(t, "\nnext\n", string(got))
}

// Lines that the access log or the log of an application loses are reported in the server's log, once.
// Faults: F4.
func TestLostLinesOfOtherLogsAreToldOnce(t *testing.T) {
	t.Parallel()

	if runtime.GOOS != "linux" {
		t.Skip("there is no /dev/full")
	}

	for _, option := range []string{accessLogOption, appLogOption} {
		f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		require.NoError(t, err)

		var told bytes.Buffer
		l := newLogFile("/dev/full", f, plainFormat)
		l.tellIn(jsonLogger(&told), option)

		for range 3 {
			_, err := l.Write([]byte("line\n"))
			require.NoError(t, err)
			l.writeQueued()
		}

		require.NoError(t, l.close())
		require.Equal(t, 1, strings.Count(told.String(), "cannot write to a log: its lines are lost until"))
		require.Contains(t, told.String(), "write /dev/full: no space left on device: free some space or inodes "+
			"there, or name another place with "+option)
	}
}

func TestLogFileWithoutAReaderSaysSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	require.NoError(t, unix.Mkfifo(path, 0o600))
	_, err := OpenLogFile(path)
	require.ErrorContains(t, err,
		"cannot open the log file: "+path+" is a named pipe or a socket that no program reads")
}

// The path of a log may lead through a link such as current, and a deploy removes the release in which it was opened.
func TestLogFollowsTheDirectoryOfItsPath(t *testing.T) {
	leakgate.Check(t)

	root := t.TempDir()
	current := filepath.Join(root, "current")
	use := func(n string) {
		require.NoError(t, os.MkdirAll(filepath.Join(root, n, "log"), 0o755))
		require.NoError(t, os.Symlink(n, current+".new"))
		require.NoError(t, os.Rename(current+".new", current))
	}
	has := func(want, file string) {
		t.Helper()

		content, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		require.Equal(t, want, string(content))
	}
	use("1")

	l, err := openLog(filepath.Join(current, "log", "shop.log"), plainFormat)
	require.NoError(t, err)

	say := func(text string) {
		_, err := l.Write([]byte(text + "\n"))
		require.NoError(t, err)
		l.writeQueued() // beside its goroutine, which may have done it
	}

	say("one")
	use("2")
	say("two")
	has("one\n", "1/log/shop.log")
	has("two\n", "2/log/shop.log")

	// What moves the file away says when it is to be opened again.
	require.NoError(t, os.Rename(filepath.Join(root, "2/log/shop.log"), filepath.Join(root, "2/log/shop.log.1")))
	say("three")
	has("two\nthree\n", "2/log/shop.log.1")

	// A directory that is gone, or in which the file cannot be opened, changes nothing but for a line in the log.
	require.NoError(t, os.Rename(filepath.Join(root, "2"), filepath.Join(root, "gone")))
	say("four")
	has("two\nthree\nfour\n", "gone/log/shop.log.1")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "2/log/shop.log"), 0o755))
	say("five")
	say("six")
	content, err := os.ReadFile(filepath.Join(root, "gone/log/shop.log.1"))
	require.NoError(t, err)
	require.Regexp(t, `four\npassenger: the log stays in this file, .*reopen-logs.*\nfive\nsix\n$`, string(content))

	require.NoError(t, l.close())
}

// Standard output and error may be one pipe, as with 2>&1 or below systemd, and the watchdog and a core share one.
// Lines of two writers must not mix, or an application's text stands where a record begins.
//
// Faults: R-58.
func TestLinesOfTwoWritersToAPipeStayWhole(t *testing.T) {
	// Lines that the system does not write in one piece can be kept whole within one program only.
	t.Run("two programs", func(t *testing.T) {
		testTwoWriters(t, maxAtomic, func(f *os.File) io.WriteCloser { return f })
	})
	t.Run("one program", func(t *testing.T) {
		testTwoWriters(t, 3*maxAtomic, func(f *os.File) io.WriteCloser {
			return &closingLog{newLogFile("", f, plainFormat)}
		})
	})
}

// closingLog is a log with the methods of a file.
type closingLog struct{ *logFile }

func (l *closingLog) Close() error { return errors.Join(l.close(), l.f.Close()) }

func testTwoWriters(t *testing.T, longest int, open func(*os.File) io.WriteCloser) {
	leakgate.Check(t)
	r, w, err := os.Pipe()
	require.NoError(t, err)

	fd, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)

	failed := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}

	var writing sync.WaitGroup
	for letter, to := range map[string]io.WriteCloser{
		"a": &closingLog{newLogFile("", w, plainFormat)},
		"b": open(os.NewFile(uintptr(fd), "other")),
	} {
		writing.Go(func() {
			for i := range 2000 {
				_, err := io.WriteString(to, strings.Repeat(letter, 1+i*997%(longest-1))+"\n")
				failed(err)
			}

			failed(to.Close())
		})
	}

	// The pipe is full most of the time, since it is read in small pieces.
	mixed := 0
	for in := bufio.NewReaderSize(r, 512); ; {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break
		}

		require.NoError(t, err)

		if !strings.HasPrefix(line, "passenger: ") && strings.Count(line, line[:1]) != len(line)-1 {
			mixed++
		}
	}

	writing.Wait()
	require.Zero(t, mixed)
	require.NoError(t, r.Close())
}
