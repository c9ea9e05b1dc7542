package instancedir_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
)

func TestCreate(t *testing.T) {
	registry := newRegistry(t)
	before := time.Now().Truncate(time.Second)
	d := create(t, registry)
	require.Regexp(t, `^`+registry+`/passenger\.[0-9A-Za-z]{7}$`, d.Path())
	require.Regexp(t, `^[0-9A-Za-z]{8}$`, d.Name())
	require.Regexp(t, `^[0-9A-Za-z]{24}$`, d.ReadOnlyPassword())
	require.Regexp(t, `^[0-9A-Za-z]{24}$`, d.FullPassword())
	require.NotEqual(t, d.ReadOnlyPassword(), d.FullPassword())
	require.Equal(t, d.Path()+"/agents.s/core_api", d.Socket(instancedir.CoreAPI))
	require.Equal(t, d.Path()+"/apps.s", d.AppSockets())
	require.Empty(t, instancedir.List([]string{registry}).Instances, "it is not finalized")

	require.NoError(t, d.WritePID(instancedir.Core, 4711))
	require.NoError(t, d.WritePID(instancedir.Core, 4712))
	require.NoError(t, d.Finalize())
	require.NoError(t, d.Finalize())
	require.Equal(t, []string{
		"agents.s", "apps.s", "core.pid", "creation_finalized", "full_admin_password.txt", "lock",
		"properties.json", "read_only_admin_password.txt", "watchdog.pid",
	}, entries(t, d.Path()))

	i := only(t, registry)
	require.Equal(t, d.Path(), i.Path)
	require.Equal(t, d.Name(), i.Name)
	require.Equal(t, os.Geteuid(), i.UID)
	require.Equal(t, d.Socket(instancedir.Core), i.Socket(instancedir.Core))
	p := i.Properties
	require.False(t, p.InstanceDir.Created().Before(before))
	require.False(t, p.InstanceDir.Created().After(time.Now()))
	require.Positive(t, p.InstanceDir.CreatedAtMonotonic)
	require.Regexp(t, `^\w{6}-\w{6}-\w{6}$`, p.InstanceID)
	p.InstanceID, p.InstanceDir.CreatedAt, p.InstanceDir.CreatedAtMonotonic = "", 0, 0
	require.Equal(t, instancedir.Properties{
		InstanceDir:      instancedir.Structure{MajorVersion: 4, Path: d.Path()},
		PassengerVersion: "6.0.0",
		WatchdogPID:      os.Getpid(),
		CorePID:          4712,
		Name:             d.Name(),
		IntegrationMode:  "standalone",
		ServerSoftware:   "nginx/1.0",
		StandaloneEngine: "builtin",
	}, p)

	require.NoError(t, d.Remove())
	require.Empty(t, entries(t, registry))
	require.NoError(t, d.Remove())
	require.NoError(t, d.Close())
	require.ErrorIs(t, d.Finalize(), instancedir.ErrRemoved)
	require.ErrorIs(t, d.WritePID(instancedir.Core, 1), instancedir.ErrRemoved)
	require.ErrorIs(t, d.Touch(), instancedir.ErrRemoved)
	require.ErrorIs(t, d.Check(), instancedir.ErrRemoved)
}

// TestFileHasNoMore: the file has the fields that tools of version 6 read, and not
// those that depend on who reads it.
func TestFileHasNoMore(t *testing.T) {
	registry := newRegistry(t)
	d := create(t, registry)
	content, err := os.ReadFile(filepath.Join(d.Path(), "properties.json"))
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(content, &fields))
	structure, isMap := fields["instance_dir"].(map[string]any)
	require.True(t, isMap)
	require.ElementsMatch(t, []string{"major_version", "minor_version", "created_at", "created_at_monotonic_usec"},
		slices.Collect(maps.Keys(structure)))
	require.ElementsMatch(t, []string{
		"instance_dir", "passenger_version", "watchdog_pid", "name", "instance_id", "integration_mode",
		"server_software", "standalone_engine",
	}, slices.Collect(maps.Keys(fields)))
	require.NotContains(t, string(content), d.FullPassword())
	pid, err := os.ReadFile(filepath.Join(d.Path(), "watchdog.pid"))
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(os.Getpid()), string(pid))
}

func TestConfigValidate(t *testing.T) {
	registry := newRegistry(t)
	for name, test := range map[string]struct {
		change func(*instancedir.Config)
		want   []string
	}{
		"nothing": {func(c *instancedir.Config) { *c = instancedir.Config{Registry: registry} }, []string{
			"Version is missing", "IntegrationMode is missing", "ServerSoftware is missing",
		}},
		"a line": {
			func(c *instancedir.Config) { c.ServerSoftware = "a\nb" },
			[]string{`ServerSoftware "a\nb" has characters that cannot be printed`},
		},
		"an order": {func(c *instancedir.Config) { c.Version = "\x1b[2J" }, []string{"Version"}},
		"no text":  {func(c *instancedir.Config) { c.StandaloneEngine = "\xff" }, []string{"StandaloneEngine"}},
		"long": {
			func(c *instancedir.Config) { c.IntegrationMode = strings.Repeat("x", 257) },
			[]string{"IntegrationMode has 257 bytes, and may have 256"},
		},
		"no user": {func(c *instancedir.Config) { c.UID = -1 }, []string{"UID -1"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(registry)
			test.change(&c)

			_, err := instancedir.Create(c)
			for _, part := range test.want {
				require.ErrorContains(t, err, part)
			}

			require.Empty(t, entries(t, registry))
		})
	}
}

func TestWritePIDRefusesPaths(t *testing.T) {
	d := create(t, newRegistry(t))

	before := entries(t, d.Path())
	for _, name := range []string{"", "..", "../x", "a/b", "Core", "a.b", "a\x00"} {
		require.ErrorContains(t, d.WritePID(name, 1), "small letters", name)
	}

	for _, pid := range []int{0, -1} {
		require.Error(t, d.WritePID(instancedir.Core, pid))
	}

	require.Equal(t, before, entries(t, d.Path()))
}

type attributes struct {
	mode     fs.FileMode
	uid, gid int
}

// No umask changes who may do what.
// Faults.
func TestModesHoldUnderAnyUmask(t *testing.T) {
	me, group := os.Geteuid(), os.Getegid()

	// The last two are those of passwords and of apps.s.
	table := func(agents fs.FileMode, password, apps attributes) map[string]attributes {
		file := attributes{0o644, me, group}

		return map[string]attributes{
			".":                            {fs.ModeDir | 0o755, me, group},
			"agents.s":                     {fs.ModeDir | agents, me, group},
			"apps.s":                       apps,
			"full_admin_password.txt":      password,
			"read_only_admin_password.txt": password,
			"core.pid":                     file,
			"creation_finalized":           file,
			"lock":                         file,
			"properties.json":              file,
			"watchdog.pid":                 file,
		}
	}
	type mode struct {
		name   string
		change func(*instancedir.Config)
		uid    int
		want   map[string]attributes
	}
	ordinary := table(0o700, attributes{0o600, me, group}, attributes{fs.ModeDir | 0o700, me, group})
	modes := []mode{{
		"ordinary user", func(c *instancedir.Config) { c.UserSwitching = true; c.UID, c.GID = bob, bob },
		me, ordinary,
	}}
	program := os.Args[0]
	if me == 0 {
		for name, a := range ordinary {
			ordinary[name] = attributes{a.mode, alice, alice}
		}

		modes[0].uid = alice
		modes = append(modes,
			mode{
				"root with user switching", func(c *instancedir.Config) {
					c.UserSwitching = true
					c.UID, c.GID = bob,
						bob
				}, 0,
				table(0o755, attributes{0o600, 0, 0}, attributes{fs.ModeDir | fs.ModeSticky | 0o733, 0, 0}),
			},
			mode{
				"root without", func(c *instancedir.Config) { c.UID, c.GID = bob, alice }, 0,
				table(0o755, attributes{0o400, bob, alice}, attributes{fs.ModeDir | 0o711, bob, alice}),
			})
		program = sharedProgram(t)
	}

	for _, m := range modes {
		for _, umask := range []int{0, 0o022, 0o077, 0o777} {
			t.Run(fmt.Sprintf("%s, umask %03o", m.name, umask), func(t *testing.T) {
				registry := newRegistry(t)
				if me == 0 {
					// What is made in it must not become the group's.
					require.NoError(t, os.Chown(registry, 0, bob))
					require.NoError(t, os.Chmod(registry, 0o777|os.ModeSticky|os.ModeSetgid))
				}

				todo := task{Umask: umask, Config: config(registry), Finalize: true}
				m.change(&todo.Config)
				w := start(t, program, &todo, func(c *exec.Cmd) {
					if me == 0 {
						as(m.uid)(c)
					}
				})
				require.Empty(t, w.Err)
				got := map[string]attributes{}
				require.NoError(t, filepath.WalkDir(w.Path, func(path string, _ fs.DirEntry, err error) error {
					if err != nil {
						return err
					}

					name, err := filepath.Rel(w.Path, path)
					if err != nil {
						return err
					}

					info, err := os.Lstat(path)
					if err != nil {
						return err
					}

					st, isStat := info.Sys().(*syscall.Stat_t)
					require.True(t, isStat)
					got[name] = attributes{info.Mode(), int(st.Uid), int(st.Gid)}

					return nil
				}))
				require.Equal(t, m.want, got)
				require.Equal(t, w.Name, only(t, registry).Name)
				w.remove()
				require.Empty(t, entries(t, registry))
			})
		}
	}
}
