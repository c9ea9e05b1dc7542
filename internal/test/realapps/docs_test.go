package realapps_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

const documents = "../../../docs/apps"

// documented is how the commands of a page are tried.
type documented struct {
	// make makes an application as the page is for, up to what its commands do.
	make func(t testing.TB) *workshop
	slow bool
	// path is asked for after each start, and must show part.
	path, part string
}

// pages are those of docs/apps.
var pages = map[string]documented{
	"django":  {make: documentedDjango, path: "/polls/", part: "polls index"},
	"express": {make: expressApp, path: "/", part: "Welcome to Express"},
	"fastapi": {make: documentedFastAPI, path: "/", part: "Hello World, ready"},
	"flask":   {make: documentedFlask, path: "/", part: "Hello, World!"},
	"go":      {make: goApp, path: "/", part: "Hello from Go"},
	"java":    {make: javaApp, slow: true, path: "/", part: "Hello from Java"},
	"nestjs":  {make: nestApp, slow: true, path: "/", part: "Hello World!"},
	"nextjs":  {make: documentedNext, slow: true, path: "/", part: "Next.js"},
	"other":   {make: documentedPrograms, path: "/", part: "Hello"},
	"php":     {make: documentedPHP, path: "/any/path", part: "front /any/path"},
	"rack":    {make: sinatra, path: "/", part: "Hello from Sinatra"},
	"rails":   {make: railsApp, slow: true, path: "/products", part: "Products"},
}

// fetching are the commands that fetch packages, which is done before the tests.
var fetching = []string{"apt-get install", "bundle install", "npm install", "pip install"}

// Each command of docs/apps works in the directory of an application as the page is for.
func TestCommandsOfTheDocuments(t *testing.T) {
	t.Parallel()

	files, err := filepath.Glob(filepath.Join(documents, "*.md"))
	require.NoError(t, err)
	require.Len(t, files, len(pages), "a page, and how its commands are tried")

	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".md")
		page, known := pages[name]
		require.True(t, known, name)

		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if page.slow {
				slow(t)
			}

			commands := commandsOf(t, file)
			require.NotEmpty(t, commands)

			w := page.make(t)

			var running *server
			for _, command := range commands {
				running = page.try(t, w, running, command)
			}
		})
	}
}

// try runs a command of the page beside the server that one before it has started, if any, and returns the one that
// serves then.
func (p *documented) try(t *testing.T, w *workshop, running *server, command string) *server {
	t.Helper()
	t.Log(command)

	words := strings.Split(w.run(t, "sh", "-c", `printf '%s\0' `+command), "\x00")
	words = words[:len(words)-1]

	switch {
	case slices.ContainsFunc(fetching, func(f string) bool { return strings.HasPrefix(command, f) }):
	case strings.HasPrefix(command, "passenger start"):
		if running != nil {
			running.stop(t)
		}

		running = w.start(t, words[2:]...)
		running.get(t, p.path, http.StatusOK, p.part)
	case words[0] == "passenger":
		out, err := w.passenger(t, words[1:]...)
		require.NoError(t, err, out)
		running.get(t, p.path, http.StatusOK, p.part)
	default:
		w.run(t, "sh", "-c", command)
	}

	return running
}

// commandsOf returns the commands of a page: its indented lines.
func commandsOf(t *testing.T, file string) (commands []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)

	for line := range strings.Lines(string(text)) {
		if command, is := strings.CutPrefix(line, "    "); is {
			commands = append(commands, strings.TrimSpace(command))
		}
	}

	return commands
}

// withPython gives commands a Python that has what the application needs, as a virtual environment would.
func (w *workshop) withPython(t testing.TB, interpreter string) *workshop {
	t.Helper()
	bin := filepath.Join(w.Dir, "bin")
	require.NoError(t, os.MkdirAll(bin, 0o755))
	require.NoError(t, os.Symlink(interpreter, filepath.Join(bin, "python")))
	path := strings.Join([]string{bin, filepath.Dir(interpreter), os.Getenv("PATH")}, string(filepath.ListSeparator))
	w.env = append(w.env, "PYTHONDONTWRITEBYTECODE=1", "PASSENGER_PYTHON="+interpreter, "PATH="+path)

	return w
}

func documentedDjango(t testing.TB) *workshop {
	t.Helper()
	python(t, "uvicorn")
	w, interpreter := djangoProject(t)

	return w.withPython(t, interpreter)
}

func documentedFlask(t testing.TB) *workshop {
	t.Helper()
	w := newWorkshop(t).withPython(t, python(t, "flask"))
	w.write(t, "hello.py", flaskApp)
	w.write(t, "templates/index.html", flaskIndex)

	return w
}

func documentedFastAPI(t testing.TB) *workshop {
	t.Helper()
	w := newWorkshop(t).withPython(t, python(t, "fastapi, uvicorn, websockets"))
	w.write(t, "main.py", fastAPIApp)

	return w
}

func documentedNext(t testing.TB) *workshop {
	t.Helper()
	return nextApp(t)
}

// documentedPrograms is a directory of files, with a program beside them.
func documentedPrograms(t testing.TB) *workshop {
	t.Helper()
	interpreters.Find(t, "mojolicious", "perl")
	w := newWorkshop(t)
	w.write(t, "index.html", "<h1>Hello</h1>\n")
	w.write(t, "myapp.pl", "#!/usr/bin/env perl\nuse Mojolicious::Lite -signatures;\n\n"+
		"get '/' => sub ($c) { $c->render(text => 'Hello from Mojolicious') };\n\napp->start;\n")
	require.NoError(t, os.Chmod(filepath.Join(w.dir, "myapp.pl"), 0o755))

	return w
}

func documentedPHP(t testing.TB) *workshop {
	t.Helper()
	interpreters.Find(t, "php", "php-cgi")
	w := newWorkshop(t)
	w.write(t, "public/index.php", phpPages["index.php"])

	return w
}
