package instancedir

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}

		return ""
	}
}

// testSystem is one whose run directories are first and second.
func testSystem(t *testing.T) (s system, first, second string) {
	t.Helper()
	dir := t.TempDir()
	first, second = filepath.Join(dir, "run"), filepath.Join(dir, "var", "run")

	return system{
		run:      []string{first, second},
		temp:     filepath.Join(dir, "tmp"),
		services: host().services,
	}, first, second
}

func mkdirs(t *testing.T, paths ...string) {
	t.Helper()

	for _, path := range paths {
		require.NoError(t, os.MkdirAll(path, 0o755))
	}
}

func TestDefaultRegistry(t *testing.T) {
	s, first, second := testSystem(t)
	require.Equal(t, s.temp, s.defaultRegistry(environment()), "there is nothing else")
	require.Equal(t, "/t", s.defaultRegistry(environment(tempVariable, "/t")))

	mkdirs(t, second)
	if os.Geteuid() == 0 {
		require.Equal(t, filepath.Join(second, registryName), s.defaultRegistry(environment(tempVariable, "/t")),
			"root can make it")
	} else {
		require.Equal(t, "/t", s.defaultRegistry(environment(tempVariable, "/t")))
	}

	mkdirs(t, filepath.Join(first, registryName))
	require.Equal(t, filepath.Join(first, registryName), s.defaultRegistry(environment(tempVariable, "/t")))
	require.Equal(t, "/mine", s.defaultRegistry(environment(RegistryVariable, "/mine", tempVariable, "/t")))
	require.NoDirExists(t, filepath.Join(second, registryName), "nothing is made")
}

func TestMakeRegistry(t *testing.T) {
	s, first, _ := testSystem(t)
	dir := filepath.Join(first, registryName)
	mkdirs(t, first)
	other := filepath.Join(t.TempDir(), registryName)
	require.NoError(t, s.makeRegistry(other))
	require.NoDirExists(t, other, "it is not for us to make")
	require.NoError(t, s.makeRegistry(dir))
	if os.Geteuid() != 0 {
		require.NoDirExists(t, dir)
		return
	}

	require.NoError(t, s.makeRegistry(dir), "it is there already")
	info, err := os.Lstat(dir)
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|0o755, info.Mode())
}

func TestRegistries(t *testing.T) {
	s, first, second := testSystem(t)
	require.Empty(t, s.registries(environment(tempVariable, "/nowhere")))
	require.Equal(t, []string{"/nowhere"},
		s.registries(environment(RegistryVariable, "/nowhere", tempVariable, s.temp)))

	mkdirs(t, s.temp, filepath.Join(first, registryName), filepath.Dir(second))
	require.NoError(t, os.Symlink(first, second))
	require.Equal(t, []string{s.temp + "/.", filepath.Join(first, registryName)},
		s.registries(environment(tempVariable, s.temp+"/.")), "none is twice")
}

func TestRegistriesOfSystemd(t *testing.T) {
	s, _, _ := testSystem(t)
	private := func(unit string) string {
		return filepath.Join(s.temp, "systemd-private-0123-"+unit+"-aBc", "tmp")
	}
	web, own, other := private("nginx.service"), private("passenger.service"), private("cron.service")
	mkdirs(t, web, own, other)
	if os.Geteuid() != 0 {
		require.Equal(t, []string{s.temp}, s.registries(environment()), "another user than root made them")
		return
	}

	require.Equal(t, []string{s.temp, web, own}, s.registries(environment()))
	require.NoError(t, os.Chown(filepath.Dir(web), 61001, 61001))
	require.Equal(t, []string{s.temp, own}, s.registries(environment()))
}

// Faults: R-03.
func TestTakenNamesAreNeverUsed(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "id") //nolint:usetesting // that of t is too long for sockets
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	outside := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "passenger.file"), []byte("x"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "passenger.link")))
	require.NoError(t, os.Symlink("/nowhere", filepath.Join(dir, "passenger.dangling")))
	mkdirs(t, filepath.Join(dir, "passenger.dir"))
	cfg := Config{Version: "1", IntegrationMode: "standalone", ServerSoftware: "x"}
	names := func(list ...string) func() string {
		n := -1
		return func() string { n++; return prefix + list[n%len(list)] }
	}
	taken := []string{"file", "link", "dangling", "dir"}

	registry, err := openRegistry(dir)
	require.NoError(t, err)
	_, err = createIn(registry, &cfg, names(taken...))
	require.ErrorContains(t, err, "all of 250 names are taken")
	d, err := createIn(registry, &cfg, names(append(taken, "free")...))
	require.NoError(t, err)
	require.Equal(t, "passenger.free", d.name)
	require.NoError(t, d.Remove())

	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, len(taken))

	for _, empty := range []string{outside, filepath.Join(dir, "passenger.dir")} {
		left, err := os.ReadDir(empty)
		require.NoError(t, err)
		require.Empty(t, left)
	}
}
