package instancedir

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxForeign is how many directories of other users are looked at in a registry.
// Those of root and our own are always looked at.
const maxForeign = 1000

// Listing is what there is in registries, in the order of the registries and
// names.
type Listing struct {
	// Instances are those that live.
	Instances []Instance
	// Stale are left from instances that do not live any more.
	Stale []Stale
	// Skipped is what may be an instance directory, but cannot be used, and why.
	Skipped []Skipped
}

// Skipped is a directory that is not used.
type Skipped struct {
	Path string
	Err  error
}

// List looks for instances in registries, which may be missing. It changes
// nothing.
func List(registries []string) *Listing {
	l := &Listing{}
	for _, path := range registries {
		err := l.addRegistry(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.Skipped = append(l.Skipped, Skipped{Path: path, Err: err})
		}
	}

	return l
}

func (l *Listing) addRegistry(path string) error {
	// The registry itself may be a link, as /tmp is on macOS. What is in it may not.
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}

	if resolved, err = filepath.Abs(resolved); err != nil {
		return err
	}

	registry, err := openDirectory(resolved)
	if err != nil {
		return err
	}

	defer func() { _ = registry.Close() }()
	names, tooMany, err := candidates(registry)
	if err != nil {
		return err
	}

	if tooMany {
		l.Skipped = append(l.Skipped, Skipped{
			Path: path,
			Err: fmt.Errorf("there are more than %d directories %s* of other users: the rest of them was not looked at",
				maxForeign, prefix),
		})
	}

	for _, name := range names {
		l.add(registry, name)
	}

	return nil
}

// candidates returns the directories that are named as instances are.
func candidates(registry directory) (names []string, tooMany bool, err error) {
	foreign := 0
	err = registry.Each(func(name string) error {
		if !isInstanceName(name) {
			return nil
		}

		st, err := registry.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && fileType(st) != unix.S_IFDIR {
			return nil
		}

		// What not even root may read is a mount of another user.
		if err != nil || st.Uid != 0 && int(st.Uid) != os.Geteuid() {
			if foreign++; foreign > maxForeign {
				tooMany = true
				return nil
			}
		}

		names = append(names, name)

		return nil
	})
	slices.Sort(names)

	return names, tooMany, err
}

// isInstanceName also makes sure that a name can be printed.
func isInstanceName(name string) bool {
	rest, found := strings.CutPrefix(name, prefix)
	return found && rest != "" && validateName(name) == nil
}

func (l *Listing) add(registry directory, name string) {
	path := registry.path(name)
	skip := func(err error) { l.Skipped = append(l.Skipped, Skipped{Path: path, Err: err}) }
	dir, err := registry.openDirectory(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return // removed or replaced just now
	}

	if err != nil {
		skip(err)
		return
	}

	defer func() { _ = dir.Close() }()

	s, err := examine(dir)
	switch {
	case err != nil:
		skip(err)
	case s.stale != "":
		l.Stale = append(l.Stale, Stale{
			Path:   path,
			Reason: s.stale,
			UID:    int(s.st.Uid),
			id:     idOf(&s.st),
		})
	default:
		l.addInstance(dir, s)
	}
}

func (l *Listing) addInstance(dir directory, s state) {
	p := s.properties
	p.InstanceDir.Path = dir.Name()
	p.CorePID = readPID(dir, pidName(Core))
	l.Instances = append(l.Instances, Instance{
		Path:         dir.Name(),
		Name:         p.Name,
		Properties:   p,
		UID:          int(s.st.Uid),
		id:           idOf(&s.st),
		webServerPID: cmp.Or(readPID(dir, "web_server_control_process.pid"), webServerPID(dir)),
	})
}

// webServerPID is where Passenger 6 keeps it.
func webServerPID(dir directory) int {
	sub, err := dir.openDirectory("web_server_info")
	if err != nil {
		return 0
	}

	defer func() { _ = sub.Close() }()

	return readPID(sub, "control_process.pid")
}
