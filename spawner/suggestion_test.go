package spawner

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDirectoryWithoutStartupFileSuggestsWhatToDo(t *testing.T) {
	for name, test := range map[string]struct {
		files []string
		want  string
	}{
		"Django":  {[]string{"manage.py", "shop/wsgi.py", "docs/index.txt"}, "--startup-file shop.wsgi:application"},
		"Flask":   {[]string{"app.py"}, "--startup-file app:NAME"},
		"Node.js": {[]string{"package.json", "server.js"}, "--startup-file server.js"},
		"Next.js": {[]string{"package.json", "next.config.mjs"}, "--start-command 'npm start'"},
		"PHP":     {[]string{"composer.json", "about.php"}, "--startup-file NAME.php"},
		"Sinatra": {[]string{"app.rb", "Gemfile"}, "run Sinatra::Application"},
		"Go":      {[]string{"go.mod"}, "--start-command"},
		"files":   {[]string{"index.html", "css/shop.css"}, "http.server --bind 127.0.0.1 $PORT"},
		"directories": {
			[]string{
				"package.json",
				"README",
				"api/config.ru",
				"site/public/index.php",
				"docs/index.php",
				"$(id)/config.ru",
			},
			"applications in api (Ruby, Rack), site (PHP): name such a directory",
		},
		"no package":   {[]string{"manage.py", "$(id)/wsgi.py"}, ""},
		"no settings":  {[]string{"manage.py"}, ""},
		"nothing":      {nil, ""},
		"nothing like": {[]string{"README"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, file := range test.files {
				path := filepath.Join(root, file)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				require.NoError(t, os.WriteFile(path, nil, 0o644))
			}

			link := filepath.Join(t.TempDir(), "current")
			require.NoError(t, os.Symlink(root, link))

			for _, dir := range []string{root, link} {
				got := suggestion(dir)
				if test.want == "" {
					require.Empty(t, got)
				} else {
					require.Contains(t, got, test.want)
				}
			}
		})
	}

	require.Empty(t, suggestion(filepath.Join(t.TempDir(), "missing")))
}

// A release that was deployed as root, with a umask of 077.
func TestSuggestionNamesAFileThatCannotBeRead(t *testing.T) {
	root, err := os.MkdirTemp("", "") //nolint:usetesting // another user has to come to it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(root)) })
	require.NoError(t, os.Chmod(root, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "app.py"), nil, 0o600))

	user := &identity{account: account{name: "tenant", uid: 61001}, gid: 61001, switched: true}
	if os.Geteuid() != 0 {
		require.NoError(t, os.Chmod(filepath.Join(root, "app.py"), 0))
		user = &identity{}
	}

	require.NoError(t, user.withRights(func() error {
		require.Contains(t, suggestion(root), "There is app.py, which the application's user may not read: chmod o+r")
		return nil
	}))
}

// What a link leads to may be nothing that the application's user can read.
func TestSuggestionFollowsNoLinks(t *testing.T) {
	root, other := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, "server.js"), nil, 0o644))
	require.NoError(t, os.Symlink(filepath.Join(other, "server.js"), filepath.Join(root, "server.js")))
	require.Empty(t, suggestion(root))
}

func TestStartupFileTellsType(t *testing.T) {
	for file, want := range map[string]string{
		"server.js": "node", "dist/main.mjs": "node", "shop/wsgi.py": "wsgi", "private.ru": "rack", "bin/www": "",
		"": "", "main.ts": "",
	} {
		got, ok := typeByStartupFile(file)
		require.Equal(t, want, got.Name, file)
		require.Equal(t, want != "", ok, file)
	}
}

// There may be millions: no more is read than what is looked at.
func TestSuggestionReadsDirectoriesUpToALimit(t *testing.T) {
	root := t.TempDir()
	for i := range maxListed + 10 {
		require.NoError(t, os.WriteFile(filepath.Join(root, strconv.Itoa(i)), nil, 0o600))
	}

	require.Len(t, entriesOf(root), maxListed)
	require.Empty(t, entriesOf(filepath.Join(root, "1")), "it is no directory")
}
