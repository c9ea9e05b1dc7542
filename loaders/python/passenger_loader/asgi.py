"""A process that serves an ASGI application, by the server that the application's environment has."""

import asyncio
import os

from . import api, asgi_servers, backtraces, events, handshake, termination
from .asgi_adapter import Adapter
from .listener import listen_tcp, listen_unix
from .log import describe_failure

OUT_OF_BAND_WORK = "http_oob_work"
CLIENT = "http_client"


class Worker:
    """The application and the sockets that its requests come by."""

    def __init__(self, application, options):
        self._options = options
        self._listeners = []
        self._sockets = []
        self._features = [
            name for name in options.get("features", "").split() if name in (OUT_OF_BAND_WORK, CLIENT)
        ]
        self._password = options.get("connect_password", "")
        self._adapter = Adapter(application, options.get("base_uri", "/"), self._password, self._started)
        self._server = asgi_servers.find(options.get("asgi_server", ""))(self._adapter)

    def run(self, forked):
        """Serves until the spawner closes its end of stdin."""
        try:
            events.fire("starting_worker_process", forked)
            self._listen()
            self._features += backtraces.offer(self._options)
            termination.offer(handshake.lifeline)
        except BaseException:
            self._close()
            handshake.fail(describe_failure())

        try:
            # The event loop is made here, after a fork.
            asgi_servers.run(self._serve(), self._server.uses_uvloop)
        finally:
            self._close()
            events.fire("stopping_worker_process")

    def _listen(self):
        level = api.advertised_concurrency_level or 0
        listener = listen_unix(self._options, "asgi") if self._options.get("socket_dir") else listen_tcp()
        self._listeners.append(listener)
        self._sockets.append("main;%s;http_session;%d" % (listener.address, level))
        if self._password:
            listener = listen_tcp()
            self._listeners.append(listener)
            self._sockets.append("http;%s;http;%d" % (listener.address, level or 1))
            self._adapter.direct_port = listener.socket.getsockname()[1]

    async def _serve(self):
        loop = asyncio.get_running_loop()
        loop.add_reader(handshake.lifeline, self._read_lifeline)
        backtraces.show_tasks(loop)
        await self._server.serve([listener.socket for listener in self._listeners])

    def _started(self, well, message):
        """Tells the spawner how the application's start ended."""
        if not well:
            message = message.strip()
            text = "The application's lifespan did not start" + (": " + message if message else "")
            # Starlette's message is the traceback, which names the place.
            if "\n" not in message:
                text += (
                    ". What it raised is in the output above; its code for startup events, or for the lifespan, is "
                    "what to look at."
                )

            handshake.fail(text)

        handshake.ready(self._sockets, self._features)

    def _read_lifeline(self):
        try:
            if os.read(handshake.lifeline, 4096):
                return
        except BlockingIOError:
            return
        except OSError:
            pass

        asyncio.get_running_loop().remove_reader(handshake.lifeline)
        self._server.stop()

    def _close(self):
        for listener in self._listeners:
            listener.close()
