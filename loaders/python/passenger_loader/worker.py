"""A process that serves requests."""

import sys

from . import api, backtraces, events, handshake, termination
from .connection import ClientGone
from .direct import DirectEntrance
from .listener import listen_tcp, listen_unix
from .log import describe_failure, warn
from .server import Server
from .session import SessionEntrance
from .threaded_server import ThreadedServer
from .wsgi import Exchange, environ_constants

KEEP_ALIVE = "session_keep_alive"

CONTROL_REPLIES = {"PING": b"pong", "OOBW": b"oobw done"}


class Worker:
    """The application and what requests come by."""

    def __init__(self, application, options):
        self._application = application
        self._options = options
        self._thread_count = _thread_count(options)
        self._constants = environ_constants(self._thread_count > 1)
        self._listeners = []
        self._has_served = False
        self._features = [KEEP_ALIVE] if KEEP_ALIVE in options.get("features", "").split() else []

    def run(self, forked):
        """Serves until the spawner closes its end of stdin."""
        try:
            events.fire("starting_worker_process", forked)
            server, sockets = self._listen()
            self._features += backtraces.offer(self._options)
            termination.offer(handshake.lifeline)
        except BaseException:
            self._close_listeners()
            handshake.fail(describe_failure())

        try:
            handshake.ready(sockets, self._features)
            server.run()
        finally:
            self._close_listeners()
            events.fire("stopping_worker_process")

    def _listen(self):
        """Returns the server, and what to report of its sockets to the spawner."""
        password = self._options.get("connect_password", "")
        listener = listen_unix(self._options, "wsgi") if self._options.get("socket_dir") else listen_tcp()
        self._listeners.append(listener)
        sockets = ["main;%s;session;%d" % (listener.address, _concurrency(self._thread_count))]
        sessions, direct = SessionEntrance(listener, password, KEEP_ALIVE in self._features), None
        if password:
            listener = listen_tcp()
            self._listeners.append(listener)
            sockets.append("http;%s;http;%d" % (listener.address, _concurrency(1)))
            direct = DirectEntrance(listener, password)

        return self._server(sessions, direct), sockets

    def _close_listeners(self):
        for listener in self._listeners:
            listener.close()

    def _server(self, sessions, direct):
        if self._thread_count == 1:
            return Server(sessions, direct, self._serve)

        return ThreadedServer(sessions, direct, self._serve, self._thread_count)

    def _serve(self, conn, request):
        """Responds to a request and returns whether the connection can be kept."""
        method = request.control()
        if method is None:
            keep = Exchange(self._application, conn, request, self._constants).run()
            if not self._has_served:
                self._has_served = True
                self._advise()

            return keep

        if method == "OOBW":
            events.fire("oob_work")

        try:
            conn.send(CONTROL_REPLIES[method])
        except ClientGone:
            pass

        return False


    def _advise(self):
        """Tells of views that would be better off with ASGI."""
        # All of them need it, and few other applications have it.
        if "asgiref" not in sys.modules:
            return

        from .async_views import advice

        try:
            text = advice(self._application)
        except Exception:
            return  # what it looks at is other people's, and of versions that are not known

        if text:
            warn(text)


def _thread_count(options):
    value = options.get("thread_count", "1")
    if not (value.isascii() and value.isdigit() and int(value) >= 1):
        raise ValueError("the spawner's thread_count %r is not a number of threads, at least 1" % value)

    return int(value)


def _concurrency(by_threads):
    """How many requests a socket takes at once, as the spawner gets it."""
    level = api.advertised_concurrency_level
    if level is None:
        return by_threads

    if not isinstance(level, int) or level < 0:
        raise ValueError(
            "phusion_passenger.advertised_concurrency_level is %r: it has to be a number of requests, "
            "0 for any number, or None" % (level,)
        )

    return int(level)
