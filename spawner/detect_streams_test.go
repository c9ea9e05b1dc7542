package spawner_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

const channelsRouting = `from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path, re_path

websocket_urlpatterns = [
    re_path(r"^ws/chat/(?P<room_name>\w+)/$", consumers.ChatConsumer.as_asgi()),
    re_path(r'feed$', consumers.Feed.as_asgi()),
    path("live/news/<slug:name>/", consumers.News.as_asgi()),
    path("ws/notify/", consumers.Notify.as_asgi()),
    path("<slug:anything>", consumers.Any.as_asgi()),  # path("hidden/")
]
`

func TestStreamsOfFrameworksAreRecognized(t *testing.T) {
	rails := func(more map[string]string) map[string]string {
		files := map[string]string{"config.ru": "", "config/application.rb": "module Shop\nend\n"}
		maps.Copy(files, more)

		return files
	}

	for name, c := range map[string]struct {
		files   map[string]string
		appType string
		want    []string
	}{
		"Rails": {
			rails(map[string]string{
				"config/cable.yml": "development:\n  adapter: async\n\nproduction:\n  adapter: redis\n",
			}),
			"rack",
			[]string{"/cable"},
		},
		"Rails, by its gems": {rails(map[string]string{"Gemfile.lock": "GEM\n  specs:\n    actioncable (7.1.3)\n"}), "rack", []string{"/cable"}},
		"Rails without it":   {rails(map[string]string{"Gemfile.lock": "GEM\n  specs:\n    activerecord (7.1.3)\n"}), "rack", nil},
		"Rails, elsewhere": {
			rails(map[string]string{
				"config/cable.yml":                  "production:\n  adapter: redis\n",
				"config/environments/production.rb": "# config.action_cable.mount_path = '/no'\nconfig.action_cable.mount_path = '/websocket'\n",
			}), "rack", []string{"/websocket"},
		},
		"Rails, by a route": {
			rails(map[string]string{
				"config/cable.yml": "production:\n  adapter: redis\n",
				"config/routes.rb": "mount ActionCable.server => \"/live/cable/\"\n",
			}), "rack", []string{"/live/cable"},
		},
		"Rails, in one process": {rails(map[string]string{"config/cable.yml": "production:\n  adapter: async\n"}), "rack", nil},
		"Rack":                  {map[string]string{"config.ru": "", "Gemfile.lock": "    actioncable (7.1.3)\n"}, "rack", nil},
		"Socket.IO": {
			map[string]string{
				"app.js":       "listen(1)",
				"package.json": `{"dependencies": {"socket.io": "4"}}`,
			}, "node", []string{"/socket.io"},
		},
		"Socket.IO, a start command": {
			map[string]string{
				"package.json": `{"dependencies": {"@nestjs/platform-socket.io": "4"}, "scripts": {"start": "nest start"}}`,
			},
			"",
			[]string{"/socket.io"},
		},
		"Socket.IO of tests": {
			map[string]string{
				"app.js":       "listen(1)",
				"package.json": `{"devDependencies": {"socket.io": "4"}}`,
			}, "node", nil,
		},
		"python-socketio": {
			map[string]string{
				"passenger_asgi.py": "",
				"requirements.txt":  "# x\nuvicorn\npython-socketio>=5\n",
			}, "asgi", []string{"/socket.io"},
		},
		"Flask-SocketIO": {
			map[string]string{
				"passenger_wsgi.py": "",
				"pyproject.toml":    "dependencies = [\n  \"Flask-SocketIO\",\n]\n",
			}, "wsgi", []string{"/socket.io"},
		},
		"Channels": {
			map[string]string{
				"manage.py":        `os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")`,
				"shop/__init__.py": "", "shop/settings.py": "ASGI_APPLICATION = 'shop.asgi.application'\n", "shop/asgi.py": "",
				"chat/__init__.py": "", "chat/routing.py": channelsRouting,
			}, "asgi", []string{"/ws/chat", "/feed", "/live/news", "/ws/notify"},
		},
		"Channels, in asgi.py": {
			map[string]string{
				"passenger_asgi.py": "", "asgi.py": "application = ProtocolTypeRouter({\n  'http': django,\n  " +
					"'websocket': URLRouter([path('ws/', App.as_asgi())]),\n})\n",
			}, "asgi", []string{"/ws"},
		},
		"paths of pages": {
			map[string]string{
				"passenger_wsgi.py": "",
				"shop/__init__.py":  "",
				"shop/routing.py":   "urlpatterns = [path('a/', f)]\n",
			}, "wsgi", nil,
		},
		"nothing": {map[string]string{"README": ""}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			found := spawner.DetectStreams(spawner.App{Root: makeDirectory(t, c.files)})
			require.Equal(t, c.appType, found.Type)
			require.Equal(t, c.want, found.Paths)
			require.Len(t, found.Because, len(found.Paths))
		})
	}

	// Other users' files are not looked into.
	root := makeDirectory(t, map[string]string{"app.js": "listen(1)"})
	other := makeDirectory(t, map[string]string{"package.json": `{"dependencies": {"socket.io": "4"}}`})
	require.NoError(t, os.Symlink(filepath.Join(other, "package.json"), filepath.Join(root, "package.json")))
	require.Empty(t, spawner.DetectStreams(spawner.App{Root: root}).Paths)
}

func TestMessagesThatReachTheClientsOfOneProcessOnly(t *testing.T) {
	t.Parallel()

	rails := func(adapter string) map[string]string {
		return map[string]string{
			"config.ru":        "",
			"config/cable.yml": "development:\n  adapter: " + adapter + "\n\nproduction:\n  adapter: redis\n",
		}
	}
	socketIO := func(dependencies string) map[string]string {
		return map[string]string{"app.js": "listen(1)", "package.json": `{"dependencies": {` + dependencies + `}}`}
	}
	channels := func(layer string) map[string]string {
		return map[string]string{
			"passenger_asgi.py": "", "shop/__init__.py": "",
			"shop/settings.py": "CHANNEL_LAYERS = {'default': {'BACKEND': '" + layer + "'}}\n",
		}
	}

	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"Action Cable, async":  {rails("async"), "config/cable.yml has the adapter async"},
		"Action Cable, Redis":  {rails("redis"), ""},
		"Action Cable, tests":  {rails("test"), ""},
		"Socket.IO":            {socketIO(`"socket.io": "4"`), "package.json has the dependency socket.io and no adapter for it"},
		"Socket.IO, Redis":     {socketIO(`"socket.io": "4", "@socket.io/redis-adapter": "8"`), ""},
		"Socket.IO 2, Redis":   {socketIO(`"socket.io": "2", "socket.io-redis": "5"`), ""},
		"Channels, in memory":  {channels("channels.layers.InMemoryChannelLayer"), "shop/settings.py has the InMemoryChannelLayer"},
		"Channels, Redis":      {channels("channels_redis.core.RedisChannelLayer"), ""},
		"nothing of the kind":  {map[string]string{"app.js": "listen(1)"}, ""},
		"Socket.IO, something": {socketIO(`"socket.io": "4", "socket.io-client": "4"`), "package.json has the dependency socket.io and no adapter for it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := spawner.App{Root: makeDirectory(t, c.files), Environment: "development"}
			require.Equal(t, c.want, spawner.DetectStreams(app).Separate)
		})
	}
}
