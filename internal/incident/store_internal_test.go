package incident

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/test/smalldisk"
)

func newStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(privateDir(t))
	require.NoError(t, err)

	return s
}

// privateDir returns a directory in one that only this user can write to.
func privateDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "incidents")
	require.NoError(t, os.Mkdir(dir, 0o700))

	return dir
}

// record is an incident of an application, the nth.
func record(app string, n int) *Record {
	return &Record{
		At:      time.Date(2026, 1, 2, 3, 4, n, 0, time.UTC),
		Cause:   passenger.IncidentExit,
		Summary: fmt.Sprint("number ", n),
		App:     app,
		PID:     n,
	}
}

func TestStoredIncidentIsReadAgain(t *testing.T) {
	s := newStore(t)
	r := record("shop", 7)
	file, err := s.Write(r)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(s.dir, r.ID+".json"), file)
	require.True(t, IsID(r.ID))

	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())

	for _, same := range []*Store{s, {dir: s.dir, known: newStore(t).known}} { // the second did not write it
		content, err := same.Read(r.ID)
		require.NoError(t, err)
		read, err := Decode(content)
		require.NoError(t, err)
		require.Equal(t, "number 7", read.Summary)

		list := same.List()
		require.Len(t, list, 1)
		require.Equal(t, r.line(file), list[0])
	}
}

func TestStoreKeepsTheLastIncidents(t *testing.T) {
	s := newStore(t)
	rare := record("rare", 0)
	_, err := s.Write(rare)
	require.NoError(t, err)

	for i := 1; i <= MaxKept+5; i++ {
		_, err := s.Write(record("often", i))
		require.NoError(t, err)
	}

	list := s.List()
	require.Len(t, list, MaxKept)
	require.Equal(t, "number 55", list[0].Summary)
	require.Equal(t, rare.ID, list[MaxKept-1].ID, "it is the only one of its application")
	require.Equal(t, "number 7", list[MaxKept-2].Summary)

	entries, err := os.ReadDir(s.dir)
	require.NoError(t, err)
	require.Len(t, entries, MaxKept)
}

// The clock may be set back, as on a machine that gets the time from the network after it has begun to serve.
// Faults: F6.
func TestNewIncidentsStayAfterTheClockWasSetBack(t *testing.T) {
	s := newStore(t)

	for i := range MaxKept {
		r := record("shop", i)
		r.At = r.At.Add(24 * time.Hour)
		_, err := s.Write(r)
		require.NoError(t, err)
	}

	for i := range MaxKept {
		file, err := s.Write(record("shop", i))
		require.NoError(t, err)
		require.FileExists(t, file)
	}

	list := s.List()
	require.Len(t, list, MaxKept)
	require.Equal(t, record("shop", MaxKept-1).At, list[0].At)
	require.Equal(t, record("shop", 0).At, list[MaxKept-1].At)
}

func TestStoreReadsNothingElse(t *testing.T) {
	s := newStore(t)
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte(`{"summary":"secret"}`), 0o600))

	const link, fifo, broken = "20260102-030405-aaaaaaaa", "20260102-030405-bbbbbbbb", "20260102-030405-cccccccc"

	require.NoError(t, os.Symlink(secret, filepath.Join(s.dir, link+".json")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(s.dir, fifo+".json"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, broken+".json"), []byte("{"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "notes.txt"), nil, 0o600))

	for _, id := range []string{
		link, fifo, "20260102-030405-dddddddd", "", "..", "../secret", "notes.txt", link + ".json",
	} {
		_, err := s.Read(id)
		require.Error(t, err, id)
	}

	list := s.List()
	require.Len(t, list, 1)
	require.Equal(t, broken, list[0].ID)
	require.Equal(t, "the file cannot be read", list[0].Summary)
	require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), list[0].At)
}

// What is wrong with the file of an incident is said in one sentence, with the file and what to do.
func TestFileThatIsNoIncidentIsNamed(t *testing.T) {
	s := newStore(t)
	good := record("shop", 7)
	file, err := s.Write(good)
	require.NoError(t, err)

	const id = "20260102-030405-aaaaaaaa"
	at := filepath.Join(s.dir, id+".json")
	write := func(content string) func() error {
		return func() error { return os.WriteFile(at, []byte(content), 0o600) }
	}

	for says, damage := range map[string]func() error{
		"is a link":                                func() error { return os.Symlink(filepath.Base(file), at) },
		"is not a regular file":                    func() error { return os.Mkdir(at, 0o700) },
		"is damaged: unexpected":                   write(`{"id": "x`),
		"is damaged: unexpected end of JSON input": write(""),
		"is damaged: invalid character '\\x00'":    write("\x00\x00\x00"),
		"is damaged: json":                         write("[]"),
		"is damaged: it does not say":              write("{}"),
		"and no incident has more than 262144":     write(strings.Repeat(" ", MaxSize) + "{}"),
	} {
		require.NoError(t, damage(), says)
		_, err := s.Read(id)
		require.ErrorContains(t, err, "the incident cannot be shown: its file "+at+" ")
		require.ErrorContains(t, err, says)
		require.ErrorContains(t, err, ": remove it")
		require.NoError(t, os.Remove(at))
	}

	_, err = s.Read(id)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestDirectoriesThatAreRefused(t *testing.T) {
	dir := privateDir(t)
	file, link, open := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "open")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Symlink(dir, link))
	require.NoError(t, os.Mkdir(open, 0o700))
	require.NoError(t, os.Chmod(open, 0o777))

	for path, says := range map[string]string{
		file:                            "is not a directory: name a directory that exists",
		link:                            "which is a link: name the directory that it leads to",
		open:                            "to which others can write: chmod go-w " + open,
		filepath.Join(dir, "not-there"): "name a directory that exists",
	} {
		_, err := Open(path)
		require.ErrorContains(t, err, says)
		require.Contains(t, err.Error(), "incident_dir")
		require.NotContains(t, err.Error(), "\n", "one sentence")
	}

	if os.Geteuid() == 0 {
		require.NoError(t, os.Chmod(open, 0o700))
		require.NoError(t, os.Chown(open, 65534, -1))
		_, err := Open(open)
		require.ErrorContains(t, err, "belongs to another user (uid 65534)")
	}
}

func TestDirectoryThatIsOpenedLaterTakesNothing(t *testing.T) {
	s := newStore(t)
	require.NoError(t, os.Chmod(s.dir, 0o777))
	_, err := s.Write(record("shop", 1))
	require.ErrorContains(t, err, "to which others can write")
	require.Empty(t, s.List())
}

func TestFullDiskLeavesNothing(t *testing.T) {
	s, err := Open(smalldisk.Mount(t, "size=64k,mode=0700"))
	require.NoError(t, err)
	r := record("shop", 1)
	r.Processes = []Process{{Backtraces: strings.Split(strings.Repeat("line\n", 20_000), "\n")}}
	_, err = s.Write(r)
	require.ErrorIs(t, err, syscall.ENOSPC)

	entries, err := os.ReadDir(s.dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestLargeIncidentIsCutAndSaysSo(t *testing.T) {
	for name, process := range map[string]Process{
		"backtraces": {Backtraces: strings.Split(strings.Repeat("a line\n", 100_000), "\n")},
		"output":     {Output: strings.Split(strings.Repeat("\x00\"\\\n", 100_000), "\n")},
		"one line":   {Backtraces: []string{strings.Repeat("x", 2*MaxSize)}},
		"tree":       {Tree: make([]SystemProcess, 10_000)},
	} {
		r := record("shop", 1)
		r.Processes = []Process{process}
		b, err := r.encode()
		require.NoError(t, err, name)
		require.LessOrEqual(t, len(b), MaxSize, name)
		require.True(t, json.Valid(b), name)
		require.Contains(t, string(b), "was cut off", name)
	}

	many := record("shop", 1)
	for range 5000 {
		many.Others = append(many.Others, Request{Path: strings.Repeat("/x", 50)})
	}

	b, err := many.encode()
	require.NoError(t, err)
	require.LessOrEqual(t, len(b), MaxSize)
}
