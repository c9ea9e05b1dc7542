package trustedpath_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/trustedpath"
)

const (
	alice = 61001
	bob   = 61002
)

// tree is dir/sub/file with a link dir/link to dir/sub, and way is what a test looks at.
type tree struct{ dir, sub, file, link string }

func newTree(t *testing.T) tree {
	t.Helper()

	dir := filepath.Join(t.TempDir(), "dir")
	w := tree{
		dir:  dir,
		sub:  dir + "/sub",
		file: dir + "/sub/file",
		link: dir + "/link",
	}
	require.NoError(t, os.MkdirAll(w.sub, 0o755))
	require.NoError(t, os.WriteFile(w.file, nil, 0o644))
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))

	for _, path := range []string{w.dir, w.sub} {
		require.NoError(t, os.Chmod(path, 0o755))
	}

	require.NoError(t, os.Chmod(w.file, 0o644))
	require.NoError(t, os.Symlink("sub", w.link))

	return w
}

func TestWhatOthersCouldReplaceIsRefused(t *testing.T) {
	interpreters.Root(t, "to make files of other users")

	chown := func(path string, uid int) error { return os.Lchown(path, uid, uid) }
	const sticky = 0o777 | fs.ModeSticky

	for _, test := range []struct {
		name    string
		spoil   func(w tree) error
		through func(w tree) string // the file, if nil
		root    string              // the error when only root is trusted
		alice   string              // the error when Alice is trusted as well
	}{
		{name: "root's own", spoil: func(tree) error { return nil }},
		{
			name:    "root's own by a link of root's",
			spoil:   func(tree) error { return nil },
			through: func(w tree) string { return w.link + "/../link/file" },
		},
		{
			name:  "a user's file",
			spoil: func(w tree) error { return chown(w.file, alice) },
			root:  "belongs to another user than root (user ID 61001)",
		},
		{
			name:  "another user's file",
			spoil: func(w tree) error { return chown(w.file, bob) },
			root:  "belongs to another user than root",
			alice: "belongs to another user than root and the user with ID 61001 (user ID 61002)",
		},
		{
			name:  "a user's directory",
			spoil: func(w tree) error { return chown(w.sub, alice) },
			root:  "could replace what is in the directory",
		},
		{
			name:  "another user's directory above",
			spoil: func(w tree) error { return chown(w.dir, bob) },
			root:  "could replace what is in the directory",
			alice: "could replace what is in the directory",
		},
		{
			name:  "a file that a group can write",
			spoil: func(w tree) error { return os.Chmod(w.file, 0o664) },
			root:  "others than root can write to",
		},
		{
			name:  "a file that all can write",
			spoil: func(w tree) error { return os.Chmod(w.file, 0o666) },
			root:  "others than root can write to",
			alice: "can write to",
		},
		{
			name:  "a directory that a group can write",
			spoil: func(w tree) error { return os.Chmod(w.sub, 0o775) },
			root:  "it has the mode 0775",
		},
		{
			name:  "a directory that all can write",
			spoil: func(w tree) error { return os.Chmod(w.dir, 0o777) },
			root:  "it has the mode 0777",
			alice: "it has the mode 0777",
		},
		{
			name:  "root's directory with the sticky bit",
			spoil: func(w tree) error { return os.Chmod(w.sub, sticky) },
		},
		{
			name: "a second name in a directory with the sticky bit",
			spoil: func(w tree) error {
				return join(os.Chmod(w.sub, sticky), os.Link(w.file, w.dir+"/original"))
			},
			root:  "has other names as well",
			alice: "has other names as well",
		},
		{
			name: "a user's link in a directory with the sticky bit",
			spoil: func(w tree) error {
				return join(os.Chmod(w.dir, sticky), chown(w.link, bob))
			},
			through: func(w tree) string { return w.link + "/file" },
			root:    "belongs to another user than root",
			alice:   "belongs to another user than root",
		},
		{
			name: "a link into another user's directory",
			spoil: func(w tree) error {
				other := w.dir + "/other"
				return join(os.Mkdir(other, 0o755), os.Rename(w.file, other+"/file"), chown(other, bob),
					os.Symlink(other+"/file", w.file))
			},
			root:  "could replace what is in the directory",
			alice: "could replace what is in the directory",
		},
		{
			name:  "nothing",
			spoil: func(w tree) error { return os.Remove(w.file) },
			root:  "no such file",
			alice: "no such file",
		},
		{
			name:  "a loop of links",
			spoil: func(w tree) error { return join(os.Remove(w.file), os.Symlink("file", w.file)) },
			root:  "too many levels of symbolic links",
			alice: "too many levels of symbolic links",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newTree(t)
			require.NoError(t, test.spoil(w))

			path := w.file
			if test.through != nil {
				path = test.through(w)
			}

			for uid, want := range map[int]string{0: test.root, alice: test.alice} {
				err := trustedpath.CheckFile(path, uid)
				if want == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, want)
				}
			}
		})
	}
}

func join(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}

	return nil
}

func TestDirectoryIsReturnedWithoutLinks(t *testing.T) {
	w := newTree(t)

	real, err := trustedpath.CheckDirectory(w.link+"/./../link", os.Geteuid())
	require.NoError(t, err)

	want, err := filepath.EvalSymlinks(w.sub)
	require.NoError(t, err)
	require.Equal(t, want, real)

	_, err = trustedpath.CheckDirectory(w.file, os.Geteuid())
	require.ErrorContains(t, err, "is not a directory")
}

// In a directory with the sticky bit, another user can take a name before it is made.
func TestStickyBitIsNoExcuseForNewNames(t *testing.T) {
	w := newTree(t)
	require.NoError(t, trustedpath.CheckClosedDirectory(w.sub, os.Geteuid()))

	require.NoError(t, os.Chmod(w.sub, 0o777|fs.ModeSticky))
	_, err := trustedpath.CheckDirectory(w.sub, os.Geteuid())
	require.NoError(t, err)
	require.ErrorContains(t, trustedpath.CheckClosedDirectory(w.sub, os.Geteuid()), "could replace")
}

func TestOpenFileIsCheckedWhereverItsNameLeads(t *testing.T) {
	w := newTree(t)
	f, err := os.Open(w.file)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })

	require.NoError(t, os.Remove(w.file))
	require.NoError(t, trustedpath.CheckOpen(f, os.Geteuid()))
	require.NoError(t, f.Chmod(0o666))
	require.ErrorContains(t, trustedpath.CheckOpen(f, os.Geteuid()), "can write to")

	require.NoError(t, f.Close())
	require.Error(t, trustedpath.CheckOpen(f, os.Geteuid()), "what cannot be found out is denied")
}

func TestUnknownOwnerIsNoUser(t *testing.T) {
	w := newTree(t)
	info, err := os.Stat(w.file)
	require.NoError(t, err)
	require.Equal(t, os.Geteuid(), trustedpath.Owner(info))
	require.Equal(t, -1, trustedpath.Owner(withoutOwner{info}))
}

// withoutOwner is a file of a system that does not say whose it is.
type withoutOwner struct{ fs.FileInfo }

func (withoutOwner) Sys() any { return nil }
