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

// Environment variables that name registries.
const (
	RegistryVariable = "PASSENGER_INSTANCE_REGISTRY_DIR"
	tempVariable     = "TMPDIR"
)

const registryName = "passenger-instreg"

// system is where registries are.
type system struct {
	// run are for what lives until the next boot: the first that is there.
	run  []string
	temp string
	// services are those that may have a /tmp of their own from systemd.
	services []string
}

func host() system {
	return system{
		run:      []string{"/run", "/var/run"},
		temp:     "/tmp",
		services: []string{"httpd", "apache2", "nginx", "passenger"},
	}
}

// DefaultRegistry returns where Create makes instance directories if its
// configuration does not say: what $PASSENGER_INSTANCE_REGISTRY_DIR says;
// passenger-instreg in /run or /var/run, if it can be written to, or, as root,
// made; what $TMPDIR says; or /tmp. It makes nothing.
func DefaultRegistry(getenv func(string) string) string { return host().defaultRegistry(getenv) }

func (s system) defaultRegistry(getenv func(string) string) string {
	if dir := getenv(RegistryVariable); dir != "" {
		return dir
	}

	for _, run := range s.run {
		dir := filepath.Join(run, registryName)
		err := unix.Access(dir, unix.W_OK|unix.X_OK)
		if errors.Is(err, fs.ErrNotExist) && os.Geteuid() == 0 {
			err = unix.Access(run, unix.W_OK|unix.X_OK)
		}

		if err == nil {
			return dir
		}
	}

	return cmp.Or(getenv(tempVariable), s.temp)
}

// makeRegistry makes the default registry in /run if it is dir and missing.
func (s system) makeRegistry(dir string) error {
	run := filepath.Dir(dir)
	if os.Geteuid() != 0 || filepath.Base(dir) != registryName || !slices.Contains(s.run, run) {
		return nil
	}

	parent, err := filepath.EvalSymlinks(run)
	if err != nil {
		return err
	}

	d, err := openDirectory(parent)
	if err != nil {
		return err
	}

	err = d.createDirectory(registryName, mine(0o755))
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}

	return errors.Join(err, d.Close())
}

// Registries returns where tools look for instances: in what
// $PASSENGER_INSTANCE_REGISTRY_DIR says, if it says something; else in what
// $TMPDIR says, in /tmp, in passenger-instreg in /run and /var/run, and in what
// web servers have as /tmp under systemd. Those that are not there are not
// returned, and none is twice, by whatever path.
func Registries(getenv func(string) string) []string { return host().registries(getenv) }

func (s system) registries(getenv func(string) string) []string {
	if dir := getenv(RegistryVariable); dir != "" {
		return []string{dir}
	}

	candidates := []string{getenv(tempVariable), s.temp}
	for _, run := range s.run {
		candidates = append(candidates, filepath.Join(run, registryName))
	}

	candidates = append(candidates, s.privateRegistries()...)
	var dirs []string

	var seen []os.FileInfo
	for _, dir := range candidates {
		if dir == "" {
			continue
		}

		info, err := os.Stat(dir)
		known := func(other os.FileInfo) bool { return os.SameFile(info, other) }
		if err != nil || !info.IsDir() || slices.ContainsFunc(seen, known) {
			continue
		}

		dirs, seen = append(dirs, dir), append(seen, info)
	}

	return dirs
}

// privateRegistries leaves out what somebody else than root made to look alike.
func (s system) privateRegistries() []string {
	var dirs []string
	for _, service := range s.services {
		found, err := filepath.Glob(filepath.Join(s.temp, "systemd-private-*-"+service+".service-*"))
		if err != nil {
			continue
		}

		for _, dir := range found {
			var st unix.Stat_t
			if unix.Lstat(dir, &st) == nil && fileType(&st) == unix.S_IFDIR && st.Uid == 0 {
				dirs = append(dirs, filepath.Join(dir, "tmp"))
			}
		}
	}

	return dirs
}

// openRegistry opens dir for a new instance directory in it, unless somebody
// else could replace that. The name of what it opens has no links.
func openRegistry(dir string) (_ directory, err error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return directory{}, err
	}

	path, err = filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return directory{}, fmt.Errorf("there is no registry directory %s: make it, or choose another one, for "+
			"example with %s", dir, RegistryVariable)
	}

	if err != nil {
		return directory{}, fmt.Errorf("cannot use the registry directory %s: %w", dir, err)
	}

	if strings.ContainsFunc(path, unprintable) {
		return directory{}, fmt.Errorf("cannot use the registry directory %q: its path has control characters", dir)
	}

	for parent := path; ; parent = filepath.Dir(parent) {
		var st unix.Stat_t
		if err := unix.Lstat(parent, &st); err != nil {
			return directory{}, &fs.PathError{Op: "stat", Path: parent, Err: err}
		}

		if err := checkRegistry(dir, parent, &st); err != nil {
			return directory{}, err
		}

		if parent == "/" {
			break
		}
	}

	d, err := openDirectory(path)
	if err != nil {
		return directory{}, fmt.Errorf("cannot use the registry directory %s: %w", dir, err)
	}

	defer func() {
		if err != nil {
			_ = d.Close()
		}
	}()

	// What was looked at may have been replaced, by those who are trusted.
	var st unix.Stat_t
	if err := unix.Fstat(d.FD(), &st); err != nil {
		return directory{}, d.Fault("stat", "", err)
	}

	return d, checkRegistry(dir, path, &st)
}

// checkRegistry tells what is wrong with part, which dir is or leads to.
func checkRegistry(dir, part string, st *unix.Stat_t) error {
	mode, euid := permissions(st), os.Geteuid()
	forbidden := uint32(0o002)
	who := "you or root"
	if euid == 0 {
		forbidden, who = 0o022, "root"
	}

	fault := func(problem string) error {
		return fmt.Errorf("cannot use the registry directory %s: %s %s", dir, part, problem)
	}
	switch {
	case fileType(st) != unix.S_IFDIR:
		return fault("is not a directory")
	case st.Uid != 0 && int(st.Uid) != euid:
		return fault(fmt.Sprintf("belongs to the user %d, who could replace what is in it; it must belong to %s",
			st.Uid, who))
	case mode&forbidden != 0 && mode&unix.S_ISVTX == 0:
		return fault(fmt.Sprintf("has the mode %04o, with which others could replace what is in it; forbid that "+
			"with chmod go-w, or with chmod +t, "+
			"or choose another one, for example with %s (in Kubernetes an emptyDir with medium: Memory has +t)", mode,
			RegistryVariable))
	}

	return nil
}
