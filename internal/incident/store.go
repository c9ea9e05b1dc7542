package incident

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/internal/ownfile"
	"github.com/gopassenger/passenger/internal/randtext"
	"github.com/gopassenger/passenger/status"
)

// MaxKept is the number of incidents that a directory has.
const MaxKept = 50

// futureSkew is more than incidents that are written at the same time lie apart.
const futureSkew = time.Minute

// fileName is that of an incident's file: its ID, and an ending.
var fileName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9]{8}-[0-9]{6}-[a-z0-9]{8}\.json$`)
})

// Store keeps incidents as files of a directory that only this user can write to. It is safe for concurrent use, also
// by several programs. The directory is opened again each time: it may have been replaced.
type Store struct {
	dir string

	mu sync.Mutex
	// known are the lines of the files that were read or written.
	known map[string]status.Incident
}

// Open returns the store in a directory, which must exist. An error says in one sentence what is wrong with it.
func Open(dir string) (*Store, error) {
	root, err := openDir(dir)
	if err != nil {
		return nil, err
	}

	return &Store{dir: dir, known: map[string]status.Incident{}}, root.Close()
}

// openDir opens a directory that only this process's user can write to.
func openDir(path string) (*os.Root, error) {
	// A link may lead elsewhere tomorrow.
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSymlink {
		return nil, fmt.Errorf("incident_dir is %s, which is a link: name the directory that it leads to", path)
	}

	return ownfile.OpenDirectory("incident_dir", path)
}

// Write keeps a record, which gets its ID, and returns the path of its file. Of a file that it cannot finish, nothing
// is left.
func (s *Store) Write(r *Record) (file string, err error) {
	// The time makes files easy to find; the rest keeps two programs from one name.
	r.ID = r.At.UTC().Format("20060102-150405-") + strings.ToLower(randtext.Alphanumeric(8))

	content, err := r.encode()
	if err != nil {
		return "", err
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	root, err := openDir(s.dir)
	if err != nil {
		return "", err
	}

	defer func() { err = errors.Join(err, root.Close()) }()

	name := r.ID + ".json"

	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return "", err
	}

	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, root.Remove(name))
	}

	file = filepath.Join(s.dir, name)
	s.known[name] = r.line(file)
	s.prune(root, r.At)

	return file, nil
}

// prune removes what is too much: the oldest incident of the application that has most, so that one which fails again
// and again does not displace the incidents of others. Those of a clock that was set back since go first: they would
// displace all that come now. It needs the lock, as what follows.
func (s *Store) prune(root *os.Root, now time.Time) {
	for lines := s.load(root); len(lines) > MaxKept; {
		counts := map[string]int{}

		most := 0
		for i := range lines {
			counts[lines[i].App]++
			most = max(most, counts[lines[i].App])
		}

		// The newest are first.
		i := slices.IndexFunc(lines, func(l status.Incident) bool {
			return counts[l.App] == most && l.At.After(now.Add(futureSkew))
		})
		if i < 0 {
			i = len(lines) - 1
		}

		for counts[lines[i].App] < most {
			i--
		}

		name := lines[i].ID + ".json"
		_ = root.Remove(name) // it may be gone already
		delete(s.known, name)
		lines = slices.Delete(lines, i, i+1)
	}
}

// load returns the lines of all files, the newest first.
func (s *Store) load(root *os.Root) []status.Incident {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil // the next file tells what is wrong
	}

	var lines []status.Incident
	there := map[string]bool{}

	for _, entry := range entries {
		name := entry.Name()
		if !entry.Type().IsRegular() || !fileName().MatchString(name) {
			continue
		}

		there[name] = true
		if _, ok := s.known[name]; !ok {
			s.known[name] = s.readLine(root, name)
		}

		lines = append(lines, s.known[name])
	}

	// Another program may have removed some.
	for name := range s.known {
		if !there[name] {
			delete(s.known, name)
		}
	}

	slices.SortFunc(lines, func(a, b status.Incident) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID))
	})

	return lines
}

// readLine returns the line of a file that another program has written. The name tells the time of one that cannot be
// read.
func (s *Store) readLine(root *os.Root, name string) status.Incident {
	id := strings.TrimSuffix(name, ".json")
	file := filepath.Join(s.dir, name)

	_, r, err := readFile(root, name)
	if err != nil {
		at, _ := time.Parse("20060102-150405", id[:15]) // it is right, or long ago
		return status.Incident{ID: id, At: at, Summary: "the file cannot be read", File: file}
	}

	r.ID = id

	return r.line(file)
}

// readFile returns a file and the record in it. Its error is fs.ErrNotExist if there is no file, and else says in one
// sentence what is wrong with it.
func readFile(root *os.Root, name string) (content []byte, r *Record, err error) {
	refuse := func(format string, args ...any) ([]byte, *Record, error) {
		return nil, nil, fmt.Errorf("the incident cannot be shown: its file %s %w: remove it",
			filepath.Join(root.Name(), name), fmt.Errorf(format, args...))
	}

	// Links are followed within the directory, and a FIFO would be waited for.
	info, err := root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, err
	case err != nil:
		return refuse("cannot be looked at: %w", err)
	case info.Mode().Type() == fs.ModeSymlink:
		return refuse("is a link")
	case !info.Mode().IsRegular():
		return refuse("is not a regular file")
	case info.Size() > MaxSize:
		return refuse("has %d bytes, and no incident has more than %d", info.Size(), MaxSize)
	}

	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return refuse("cannot be opened: %w", err)
	}
	defer f.Close()

	if content, err = io.ReadAll(io.LimitReader(f, MaxSize)); err != nil {
		return refuse("cannot be read: %w", err)
	}

	r, err = Decode(content)
	if err != nil {
		return refuse("is damaged: %w", err)
	}

	if r.ID == "" || r.At.IsZero() {
		return refuse("is damaged: it does not say which incident it is")
	}

	return content, r, nil
}

// List returns the incidents, the newest first.
func (s *Store) List() []status.Incident {
	s.mu.Lock()
	defer s.mu.Unlock()

	root, err := openDir(s.dir)
	if err != nil {
		return nil
	}
	defer root.Close()

	return s.load(root)
}

// IsID reports whether a text can be the ID of an incident.
func IsID(text string) bool { return fileName().MatchString(text + ".json") }

// Read returns an incident as JSON. Its error is fs.ErrNotExist if there is none of this ID, and else one sentence.
func (s *Store) Read(id string) ([]byte, error) {
	if !IsID(id) {
		return nil, fs.ErrNotExist
	}

	root, err := openDir(s.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()

	content, _, err := readFile(root, id+".json")

	return content, err
}
