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

	"github.com/gopassenger/passenger/internal/printable"
	"github.com/gopassenger/passenger/internal/trustedpath"
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
		// Create makes it then.
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

	// /var/run is a link to /run on many systems, and openDirectory follows none.
	parent, err := filepath.EvalSymlinks(run)
	if err != nil {
		return err
	}

	d, err := openDirectory(parent)
	if err != nil {
		return err
	}

	err = d.createDirectory(registryName, mine(0o755))
	// openRegistry looks whether it can be used.
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
		// One of /run and /var/run is a link to the other, as a rule.
		if err != nil || !info.IsDir() || slices.ContainsFunc(seen, known) {
			continue
		}

		dirs, seen = append(dirs, dir), append(seen, info)
	}

	return dirs
}

// privateRegistries leaves out what another user than root made to look alike.
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

// openRegistry opens dir for a new instance directory in it, unless another user could
// replace that. The name of what it opens has no links.
func openRegistry(dir string) (directory, error) {
	path, err := trustedpath.CheckDirectory(dir, os.Geteuid())
	if errors.Is(err, fs.ErrNotExist) {
		return directory{}, fmt.Errorf("there is no registry directory %s: make it, or choose another one, for "+
			"example with %s", dir, RegistryVariable)
	}

	if err != nil {
		return directory{}, unusable(dir, err)
	}

	if strings.ContainsFunc(path, printable.Not) {
		return directory{}, fmt.Errorf("cannot use the registry directory %q: its path has control characters", dir)
	}

	d, err := openDirectory(path)
	if err != nil {
		return directory{}, fmt.Errorf("cannot use the registry directory %s: %w", dir, err)
	}

	// Those who are trusted may have replaced what was checked.
	if err := trustedpath.CheckOpen(d.File, os.Geteuid()); err != nil {
		return directory{}, errors.Join(unusable(dir, err), d.Close())
	}

	return d, nil
}

func unusable(dir string, err error) error {
	return fmt.Errorf("cannot use the registry directory %s: %w: forbid that with chmod go-w, or with chmod +t, or "+
		"choose another one, for example with %s (in Kubernetes an emptyDir with medium: Memory has +t)", dir, err,
		RegistryVariable)
}
