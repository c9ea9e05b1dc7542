package loaders_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaders"
)

// adviseDjango plays the part of Django that the advice looks at, with settings and modules of the project by the
// arguments.
const adviseDjango = `
import sys, types

loader, wsgi_setting, settings_module, loaded = sys.argv[1:]
sys.path.insert(0, loader)
from passenger_loader.async_views import advice

async def view(request):
    pass

def application(environ, start_response):
    pass

def module(name, **content):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(content)

pattern = types.SimpleNamespace(callback=view, lookup_str="polls.views.index")
resolver = types.SimpleNamespace(url_patterns=[pattern])
settings = types.SimpleNamespace(WSGI_APPLICATION=wsgi_setting or None, SETTINGS_MODULE=settings_module or None)
module("django.conf", settings=settings)
module("django.core.handlers.wsgi")
module("django.urls", get_resolver=lambda: resolver)
if loaded:
    module(loaded, application=application)
print(advice(application))
`

func TestAdviceForDjangoNamesTheProjectsOwnModule(t *testing.T) {
	t.Parallel()

	for _, row := range []struct{ setting, settings, loaded, want string }{
		{"shop.wsgi.application", "shop.settings", "", "shop.asgi"},
		{"", "shop.settings", "", "shop.asgi"},
		{"", "config.settings.production", "config.wsgi", "config.asgi"},
		{"", "shop.conf.settings", "shop.web.wsgi", "shop.web.asgi"},
		{"shop.server.app", "shop.settings", "", "shop.asgi"},
		{"", "", "shop.wsgi", "shop.asgi"},
		{"", "", "", "PROJECT.asgi"},
	} {
		out, err := exec.CommandContext(t.Context(), python(t), "-c", adviseDjango,
			filepath.Dir(absolute(t, loaders.Python)), row.setting, row.settings, row.loaded).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "1 of the application's views are coroutines (polls.views.index). ")
		require.Contains(t, string(out), "--startup-file "+row.want+":application --app-type asgi", "%+v", row)
	}
}
