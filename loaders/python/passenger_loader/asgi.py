"""A process that serves an ASGI application, by the server that the application's environment has."""

import asyncio
import contextlib
import os

from . import events, handshake
from .listener import listen_tcp, listen_unix
from .log import describe_failure

MISSING = (
    "An ASGI application is served by uvicorn, which its Python does not have. Install it where the application's "
    "packages are, with what WebSockets need: pip install 'uvicorn[standard]'"
)

# Connections are ended by those who connect, who know how many they need.
KEEP_ALIVE_SECONDS = 24 * 60 * 60

SCHEMES = {"http": ("http", "https"), "websocket": ("ws", "wss")}


class Worker:
    """The application and the socket that its requests come by."""

    def __init__(self, application, options):
        try:
            import uvicorn
        except ImportError as err:
            if getattr(err, "name", None) != "uvicorn":
                raise

            handshake.fail(MISSING)

        self._options = options
        self._listener = None
        config = uvicorn.Config(
            Adapter(application, options.get("base_uri", "/")),
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._server = _server(uvicorn, config, self._started)

    def run(self, forked):
        """Serves until the spawner closes its end of stdin."""
        try:
            events.fire("starting_worker_process", forked)
            self._listener = listen_unix(self._options, "asgi") if self._options.get("socket_dir") else listen_tcp()
            # The event loop is made here, after a fork.
            setup = getattr(self._server.config, "setup_event_loop", None)
            if setup is not None:
                setup()
        except BaseException:
            self._close()
            handshake.fail(describe_failure())

        try:
            asyncio.run(self._serve())
        finally:
            self._close()
            events.fire("stopping_worker_process")

    async def _serve(self):
        asyncio.get_running_loop().add_reader(handshake.STDIN, self._read_stdin)
        await self._server.serve(sockets=[self._listener.socket])

    def _started(self, well):
        """Tells the spawner how the start of the server ended."""
        if not well:
            handshake.fail(
                "The application's lifespan did not start: what it raised is in the output above. "
                "Its code for startup events, or for the lifespan, is what to look at."
            )

        handshake.ready(["main;%s;http_session;0" % self._listener.address], [])

    def _read_stdin(self):
        try:
            if os.read(handshake.STDIN, 4096):
                return
        except BlockingIOError:
            return
        except OSError:
            pass

        asyncio.get_running_loop().remove_reader(handshake.STDIN)
        self._server.should_exit = True

    def _close(self):
        if self._listener is not None:
            self._listener.close()


def _server(uvicorn, config, started):
    """Returns uvicorn's server without its signal handlers: who ends the process closes its stdin."""

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets=sockets)
            started(not self.should_exit and not self.lifespan.should_exit)

        def install_signal_handlers(self):
            pass

        @contextlib.contextmanager
        def capture_signals(self):
            yield

    return Server(config)


class Adapter:
    """Gives an application what is known of its requests beyond the connection, which is ours.

    The client's address and scheme are those that the server in front of us vouches for: what it adds to
    X-Forwarded-For is the end, and behind a proxy that it trusts, the last but one. The path is without the base URI,
    as from a server that is told of it by an option.
    """

    def __init__(self, application, base):
        self._application = _of_two(application) if _takes_scope_alone(application) else application
        self._base = "" if base == "/" else base

    async def __call__(self, scope, receive, send):
        if scope["type"] in SCHEMES:
            scope = self._request(scope)

        await self._application(scope, receive, send)

    def _request(self, scope):
        scope = dict(scope)
        forwarded, secure = [], False
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                forwarded = [part.strip() for part in value.decode("latin-1").split(",")]
            elif name == b"x-forwarded-proto":
                secure = value == b"https"

        scope["scheme"] = SCHEMES[scope["type"]][secure]
        if forwarded:
            scope["client"] = (forwarded[-2] if len(forwarded) > 1 else forwarded[0], 0)

        if self._base:
            scope["root_path"] = self._base
            scope["path"] = _below(scope["path"], self._base)
            if scope.get("raw_path"):
                scope["raw_path"] = _below(scope["raw_path"], self._base.encode("ascii", "surrogateescape"))

        return scope


def _below(path, base):
    if not path.startswith(base):
        return path

    return path[len(base):] or (b"/" if isinstance(path, bytes) else "/")


def _takes_scope_alone(application):
    """Says whether it is of ASGI 2, which is called with the scope and returns what is called with the rest."""
    code = getattr(application, "__code__", None)
    return code is not None and code.co_argcount == 1 and not asyncio.iscoroutinefunction(application)


def _of_two(application):
    async def call(scope, receive, send):
        await application(scope)(receive, send)

    return call
