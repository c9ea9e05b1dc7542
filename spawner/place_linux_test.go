package spawner_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

// Only who owns the startup file, or root, may have put it where it is: see
// docs/flying.md.
func TestOwnerOfStartupFileDecidesOnlyWhereNoOtherUserCanHavePutIt(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	program := sharedProgram(t)
	must := func(err error) { require.NoError(t, err) }
	own := func(a *spawner.App) { must(os.Chown(a.Root, alice, alice)) }

	inside := func(a *spawner.App) string {
		dir := filepath.Join(a.Root, "config")
		must(os.Mkdir(dir, 0o755))
		must(os.Rename(filepath.Join(a.Root, "boot"), filepath.Join(dir, "boot")))
		a.StartupFile = "config/boot"

		return dir
	}
	for _, test := range []struct {
		name             string
		spoil            func(a *spawner.App, boot string)
		refused, warning string
	}{
		{name: "root's directory", spoil: func(*spawner.App, string) {}},
		{name: "the owner's directory", spoil: func(a *spawner.App, _ string) { own(a) }},
		{name: "the owner's own group may write", spoil: func(a *spawner.App, boot string) {
			own(a)
			must(os.Chmod(a.Root, 0o775))
			must(os.Chmod(boot, 0o664))
		}},
		{
			name:    "another user's directory",
			spoil:   func(a *spawner.App, _ string) { must(os.Chown(a.Root, bob, bob)) },
			refused: "belongs to the user with ID 61002",
		},
		{
			name:    "another user's directory in between",
			spoil:   func(a *spawner.App, _ string) { must(os.Chown(inside(a), bob, bob)) },
			refused: "config belongs to the user with ID 61002",
		},
		{name: "another user's directory around it", spoil: func(a *spawner.App, _ string) {
			inside(a)
			must(os.Chown(a.Root, bob, bob))
		}, refused: "belongs to the user with ID 61002"},
		{
			name:    "a directory for everybody",
			spoil:   func(a *spawner.App, _ string) { must(os.Chmod(a.Root, 0o777)) },
			refused: "everybody can write to the directory",
		},
		{name: "a directory for everybody, with the sticky bit", spoil: func(a *spawner.App, _ string) {
			must(os.Chmod(a.Root, 0o777|os.ModeSticky))
		}, refused: "everybody can write to the directory"},
		{
			name:    "a directory for everybody in between",
			spoil:   func(a *spawner.App, _ string) { must(os.Chmod(inside(a), 0o777)) },
			refused: "everybody can write to the directory",
		},
		{
			name:    "a file for everybody",
			spoil:   func(_ *spawner.App, boot string) { must(os.Chmod(boot, 0o666)) },
			refused: "everybody can write to it",
		},
		{name: "a directory for a group", spoil: func(a *spawner.App, _ string) {
			must(os.Chown(a.Root, alice, 62001))
			must(os.Chmod(a.Root, 0o775))
		}, warning: "the group with ID 62001 can write to the directory"},
		{name: "a file for a group", spoil: func(_ *spawner.App, boot string) {
			must(os.Chown(boot, alice, 62001))
			must(os.Chmod(boot, 0o664))
		}, warning: "the group with ID 62001 can write to"},
		{
			name:    "a hard link",
			spoil:   func(_ *spawner.App, boot string) { must(os.Link(boot, boot+".other")) },
			warning: "other names",
		},
		{name: "a hard link of another user's", spoil: func(a *spawner.App, boot string) {
			must(os.Link(boot, boot+".other"))
			must(os.Chown(a.Root, bob, bob))
		}, refused: "belongs to the user with ID 61002"},
		{name: "a hard link where a group can write", spoil: func(a *spawner.App, boot string) {
			must(os.Link(boot, boot+".other"))
			must(os.Chown(a.Root, alice, 62001))
			must(os.Chmod(a.Root, 0o775))
		}, refused: "hard links"},
		{name: "a link in another user's directory", spoil: func(a *spawner.App, boot string) {
			must(os.Rename(boot, boot+".real"))
			must(os.Symlink("boot.real", boot))
			must(os.Lchown(boot, alice, alice))
			must(os.Chown(a.Root, bob, bob))
		}, refused: "belongs to the user with ID 61002"},
		{name: "no startup file, and a directory for everybody", spoil: func(a *spawner.App, _ string) {
			a.StartupFile = ""
			own(a)
			must(os.Chmod(a.Root, 0o777))
		}, refused: "everybody can write to the directory"},
		{name: "anything, where the operator names the user", spoil: func(a *spawner.App, _ string) {
			must(os.Chown(a.Root, bob, bob))
			a.User = "alice"
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newUserFixture(t)
			a := tenantApp(t, program, alice, alice)
			test.spoil(&a, filepath.Join(a.Root, "boot"))
			if test.refused != "" {
				e := f.fail(t, a)
				require.Contains(t, e.Summary, test.refused)
				require.Contains(t, e.Advice, "chown")

				return
			}

			for range 2 {
				require.Equal(t, four(alice), credentialsOf(t, f.start(t, a))["Uid"])
			}

			warnings := f.log.lines("warning: another user")
			if test.warning == "" {
				require.Empty(t, warnings)
				return
			}

			require.Len(t, warnings, 1, "once")
			require.Contains(t, warnings[0], test.warning)
		})
	}
}
