package realapps_test

import (
	"net/http"
	"testing"
)

// channelsASGI and channelsConsumers are put together from the tutorial of Channels.
const channelsASGI = `import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path, re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
django_application = get_asgi_application()

from polls.consumers import Echo, Stream

application = ProtocolTypeRouter({
    "http": URLRouter([path("stream/", Stream.as_asgi()), re_path("", django_application)]),
    "websocket": URLRouter([path("ws/echo/", Echo.as_asgi())]),
})
`

const channelsConsumers = `import asyncio, os

from channels.generic.http import AsyncHttpConsumer
from channels.generic.websocket import AsyncWebsocketConsumer


class Stream(AsyncHttpConsumer):
    async def handle(self, body):
        await self.send_headers(headers=[(b"Content-Type", b"text/plain")])
        await self.send_body(b"first\n", more_body=True)
        while not os.path.exists("second"):
            await asyncio.sleep(0.01)
        await self.send_body(b"second\n")


class Echo(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept(subprotocol="chat" if "chat" in self.scope["subprotocols"] else None)

    async def receive(self, text_data):
        if text_data == "close":
            await self.close(code=4001)
        else:
            await self.send(text_data=text_data)
`

func TestDjangoChannels(t *testing.T) {
	t.Parallel()
	python(t, "channels, uvicorn, websockets")
	w, interpreter := djangoProject(t)
	w.write(t, "polls/consumers.py", channelsConsumers)
	w.write(t, "mysite/asgi.py", channelsASGI)
	w.edit(t, "mysite/settings.py",
		"INSTALLED_APPS = [", "INSTALLED_APPS = [\n    'channels',",
		"WSGI_APPLICATION =", "ASGI_APPLICATION = 'mysite.asgi.application'\nWSGI_APPLICATION =")
	s := w.start(t, "--python", interpreter)

	s.get(t, "/polls/", http.StatusOK, "polls index")
	s.requireUpload(t)
	s.requireStatic(t, "/static/admin/css/base.css", "text/css", "body")
	s.requireStream(t, "/stream/", "first", "second")
	s.requireWebSocket(t, "/ws/echo/")
	s.restartUnderLoad(t, "/polls/", "polls index")
}

// A view that is a coroutine works by WSGI, and the log says once what would be better.
func TestAsynchronousViewsByWSGI(t *testing.T) {
	t.Parallel()

	t.Run("Django", func(t *testing.T) {
		t.Parallel()
		w, interpreter := djangoProject(t)
		w.edit(t, "polls/views.py", "def index(request):", "async def index(request):")
		s := w.start(t, "--python", interpreter, "--startup-file", "mysite/wsgi.py")

		for range 3 {
			s.get(t, "/polls/", http.StatusOK, "polls index")
		}

		s.Await(t, "1 of the application's views are coroutines (polls.views.index)", 1)
		s.Await(t, "--startup-file mysite.asgi:application --app-type asgi", 1)
	})
	t.Run("Flask", func(t *testing.T) {
		t.Parallel()
		interpreter := python(t, "flask, asgiref")
		w := newWorkshop(t, "PYTHONDONTWRITEBYTECODE=1")
		w.write(t, "app.py", "from flask import Flask\n\napp = Flask(__name__)\n\n\n"+
			"@app.route('/')\nasync def index():\n    return 'Hello'\n")
		s := w.start(t, "--python", interpreter)

		s.get(t, "/", http.StatusOK, "Hello")
		s.Await(t, "1 of the application's views are coroutines (index)", 1)
	})
}
