package realapps_test

import (
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a newcomer gets wrong is named, with what to type, before anything is served or at the first start.
func TestJourneyFirstMinute(t *testing.T) {
	t.Parallel()
	python := python(t, "flask")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)

	for name, c := range map[string]struct {
		files map[string]string
		args  []string
		want  []string
	}{
		"an empty directory": {map[string]string{"README": ""}, nil, []string{"no application was found in"}},
		"another directory":  {map[string]string{"hello.py": flaskApp}, []string{"missing"}, []string{"does not exist"}},
		"the port is taken": {
			map[string]string{"hello.py": flaskApp},
			[]string{"--port", port},
			[]string{port, "is in use by another program"},
		},
		"the interpreter is missing": {
			map[string]string{"hello.py": flaskApp}, []string{"--python", "python9"}, []string{"python9"},
		},
		"the name is another one": {
			map[string]string{"hello.py": "from flask import Flask\nsite = Flask(__name__)\n"},
			[]string{"--startup-file", "hello:app", "--on-start-failure", "exit"},
			[]string{"does not define a callable named 'app'", "These can be called: site"},
		},
		"a module is missing": {
			map[string]string{"app.py": "from flask import Flask\nimport nothing_like_it\napp = Flask(__name__)\n"},
			[]string{"--on-start-failure", "exit"},
			[]string{"nothing_like_it", "pip install"},
		},
		"uvicorn is missing": {
			map[string]string{"main.py": "import sys\nsys.modules['uvicorn'] = sys.modules['hypercorn'] = None\n\n" +
				"async def app(scope, receive, send):\n    pass\n"},
			[]string{"--on-start-failure", "exit"},
			[]string{"pip install 'uvicorn[standard]'"},
		},
		"a Procfile without web": {
			map[string]string{"Procfile": "worker: x\n"}, nil, []string{"no application was found in"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w := newWorkshop(t, "PYTHONDONTWRITEBYTECODE=1")
			for file, content := range c.files {
				w.write(t, file, content)
			}

			args := append([]string{"start", "--address", "127.0.0.1", "--port", "0", "--python", python}, c.args...)
			out, err := w.passenger(t, args...)
			require.Error(t, err, out)

			for _, part := range c.want {
				require.Contains(t, out, part)
			}
		})
	}

	t.Run("it is right", func(t *testing.T) {
		t.Parallel()
		w := newWorkshop(t, "PYTHONDONTWRITEBYTECODE=1")
		w.write(t, "hello.py", "from flask import Flask\n\napp = Flask(__name__)\n\n\n@app.route('/')\n"+
			"def index():\n    return 'Hello, World!'\n")
		s := w.start(t, "--python", python)
		s.get(t, "/", http.StatusOK, "Hello, World!")
		out, err := w.passenger(t, "detect", "--python", python)
		require.NoError(t, err, out)
		require.Contains(t, out, "Recognized as:  Flask")
	})
}
