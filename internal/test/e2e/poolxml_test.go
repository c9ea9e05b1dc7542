package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// What an application was found to be is shown as if it had been configured.
func TestPoolXMLShowsWhatWasDetected(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		language, file, content string
		args                    []string
		want                    []string
	}{
		"rack": {
			"ruby", "config.ru", "run ->(env) { [200, {}, ['ok']] }", nil,
			[]string{"app_type>rack<", "process_title>Passenger RubyApp<", "spawn_method>smart<"},
		},
		"wsgi": {
			"python", "passenger_wsgi.py", "def application(e, s):\n    s('200 OK', [])\n    return [b'ok']\n",
			[]string{"--spawn-method", "smart"},
			[]string{"app_type>wsgi<", "process_title>Passenger WsgiApp<", "spawn_method>smart<"},
		},
		"node": {
			"node", "app.js", "require('http').createServer((q, r) => r.end('ok')).listen(3000)", nil,
			[]string{"app_type>node<", "process_title>Passenger NodeApp<", "spawn_method>direct<"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			interpreter := interpreters.Find(t, c.language, map[string]string{"python": "/usr/bin/python3"}[c.language],
				c.language)
			dir := newDir(t, map[string]string{c.file: c.content})
			flag := map[string]string{"ruby": "--ruby", "python": "--python", "node": "--nodejs"}[c.language]
			s := start(t, &launch{dir: dir, args: append(c.args, flag, interpreter)})
			require.Equal(t, "ok", s.client(t).get(t, "/").body)

			b, err := s.admin(t, "core_api").Call(t.Context(), http.MethodGet, "/pool.xml", nil)
			require.NoError(t, err)

			xml := string(b)
			for _, want := range c.want {
				require.Contains(t, xml, want)
			}

			require.Equal(t, 2, strings.Count(xml, "<app_type>"), "of the group and among its options")
			require.Contains(t, xml, "<startup_file>"+dir+"/"+c.file+"</startup_file>")
			require.Contains(t, xml, "<integration_mode>standalone</integration_mode>")
		})
	}
}
