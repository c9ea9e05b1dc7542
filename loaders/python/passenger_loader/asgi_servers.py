"""The servers that an application's environment may have, each on sockets of ours."""

import asyncio
import contextlib
import importlib
import sys

from . import handshake

MISSING = (
    "An ASGI application is served by uvicorn or hypercorn, and its Python has neither. Install one where the "
    "application's packages are, uvicorn with what WebSockets need: pip install 'uvicorn[standard]'"
)
CHOSEN_MISSING = (
    "The option asgi_server is %s, which the application's Python does not have. Install it where the application's "
    "packages are: pip install %s"
)

# Connections are ended by those who connect, who know how many they need, and the process by the spawner, who
# knows how long it may take.
FOREVER = 24 * 60 * 60  # seconds

IDLE_SECONDS = 1

BODY_FIELDS = (b"content-length", b"transfer-encoding")

# The heads that come have passed the limits of the server in front.
MAX_HEAD_BYTES = 1 << 20


def find(chosen):
    """Returns the class for the server of a name, or for the first that is there."""
    for name, server in SERVERS.items():
        if chosen not in ("", "auto", name):
            continue

        try:
            importlib.import_module(name)
        except ImportError as err:
            if getattr(err, "name", None) != name:
                raise
        else:
            return server

    handshake.fail(MISSING if chosen in ("", "auto") else CHOSEN_MISSING % (chosen, chosen))


class Uvicorn:
    """Serves by uvicorn."""

    uses_uvloop = True

    def __init__(self, application):
        import uvicorn

        class Server(uvicorn.Server):
            """Without signal handlers: who ends the process closes its stdin."""

            def install_signal_handlers(self):
                pass

            @contextlib.contextmanager
            def capture_signals(self):
                yield

        config = uvicorn.Config(
            application,
            interface="asgi3",
            log_config=None,
            # Without a level, some versions pass each message through what would log it.
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=FOREVER,
        )
        if hasattr(config, "h11_max_incomplete_event_size"):
            config.h11_max_incomplete_event_size = MAX_HEAD_BYTES
        else:
            # Until version 0.18 it was no option, but the default of the parser in Python.
            _raise_default_of_h11()

        self._server = Server(config)

    async def serve(self, sockets):
        await self._server.serve(sockets=sockets)

    def stop(self):
        self._server.should_exit = True


def _raise_default_of_h11():
    import h11

    *others, _ = h11.Connection.__init__.__defaults__
    h11.Connection.__init__.__defaults__ = (*others, MAX_HEAD_BYTES)


class Hypercorn:
    """Serves by hypercorn."""

    # It does not by itself, either. In uvloop, versions such as 0.13 have send raise an exception once a client has
    # left.
    uses_uvloop = False

    def __init__(self, application):
        import logging

        from hypercorn.config import Config

        self._application = application
        self._stopped = None
        self._config = Config()
        # Given none, it would keep to itself what the application raises. Like uvicorn's, it leaves where messages go
        # to the application's logging, or else to stderr.
        self._config.errorlog = logging.getLogger("hypercorn.error")
        self._config.errorlog.setLevel(logging.WARNING)
        self._config.include_server_header = False
        self._config.include_date_header = False
        self._config.h11_max_incomplete_size = MAX_HEAD_BYTES
        self._config.keep_alive_timeout = FOREVER
        self._config.startup_timeout = FOREVER
        self._config.shutdown_timeout = FOREVER
        # Only connections without a request are left when it begins to wait for them.
        self._config.graceful_timeout = IDLE_SECONDS

    async def serve(self, sockets):
        from hypercorn.asyncio import serve

        self._stopped = asyncio.Event()
        # It closes what it was given, and so do we.
        self._config.bind = ["fd://%d" % sock.dup().detach() for sock in sockets]
        await serve(self._serve_request, self._config, shutdown_trigger=self._end)

    async def _serve_request(self, scope, receive, send):
        """Has read a request without a body when its response ends: else the connection would be closed at times."""
        if scope["type"] != "http" or any(name in BODY_FIELDS for name, _ in scope["headers"]):
            await self._application(scope, receive, send)
            return

        read = False

        def receive_once():
            nonlocal read
            read = True
            return receive()

        async def send_after(message):
            if not read and message["type"] == "http.response.body" and not message.get("more_body"):
                await receive_once()

            await send(message)

        await self._application(scope, receive_once, send_after)

    async def _end(self):
        await self._stopped.wait()
        await self._application.finish()

    def stop(self):
        self._stopped.set()


# In the order in which they are looked for.
SERVERS = {"uvicorn": Uvicorn, "hypercorn": Hypercorn}


def run(main, use_uvloop):
    """Runs a coroutine, in the faster event loop if that is wanted and the environment has it."""
    uvloop = None
    if use_uvloop:
        with contextlib.suppress(ImportError):
            import uvloop

    if uvloop is None:
        asyncio.run(main)
        return

    if sys.version_info >= (3, 12):
        asyncio.run(main, loop_factory=uvloop.new_event_loop)
    else:
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        asyncio.run(main)
