package spawner

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProgramsThatServeOneRequestAtATimeAreKnown(t *testing.T) {
	for command, want := range map[string]bool{
		"/usr/bin/php -S 127.0.0.1:1 -t public":              true,
		"/usr/bin/php8.2 -S 127.0.0.1:1":                     true,
		"/opt/php/bin/php server.php":                        false,
		"/usr/bin/plackup -p 1 app.psgi":                     true,
		"/usr/bin/plackup -s Starman app.psgi":               false,
		"/usr/bin/plackup --server=Starlet":                  false,
		"/v/bin/python3.11 -m wsgiref.simple_server":         true,
		"/usr/bin/python3 -m http.server":                    false,
		"/usr/bin/php artisan serve --port=1":                true,
		"/v/bin/flask run":                                   false,
		"/v/bin/flask run --without-threads":                 true,
		"/v/bin/python manage.py runserver 1":                false,
		"/v/bin/python3 manage.py runserver --nothreading 1": true,
		"/v/bin/python3 -m bottle app":                       true,
		"/v/bin/python3 -m bottle --server gunicorn":         false,
		"/usr/bin/node server.js":                            false,
		"/srv/php-S":                                         false,
	} {
		require.Equal(t, want, isOneAtATime(strings.Fields(command)), command)
	}
}

func TestFirstThingThatAProgramDoesDecides(t *testing.T) {
	for name, first := range map[string]func(m *manner) (first, other *bool){
		"speaks": func(m *manner) (first, other *bool) { return &m.speaks, &m.serves },
		"serves": func(m *manner) (first, other *bool) { return &m.serves, &m.speaks },
	} {
		var m manner
		require.False(t, m.isKnown())

		chosen, other := first(&m)
		require.True(t, m.decide(chosen), name)
		require.False(t, m.decide(other), name)
		require.False(t, *other, name)
		require.True(t, m.isKnown())
	}
}
