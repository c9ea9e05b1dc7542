"""Waits for requests and has them served."""

import os
import selectors
import sys

from .connection import ClientGone, Connection, ProtocolError, WrongPassword
from .handshake import STDIN

CONTROL_REPLIES = {"PING": b"pong", "OOBW": b"oobw done"}


class Server:
    """Serves until the spawner closes its end of stdin.

    serve is called with a connection and a request, answers it, and returns
    whether the connection can be kept. While it runs nothing else is done: the
    process serves one request at a time. Between requests all connections are
    waited for together, so that an idle one blocks no other.
    """

    def __init__(self, listener, password, serve):
        self._listener = listener
        self._password = password
        self._serve = serve
        self._selector = selectors.DefaultSelector()
        self._stopping = False

    def run(self):
        self._selector.register(self._listener.socket, selectors.EVENT_READ, self._accept)
        self._selector.register(STDIN, selectors.EVENT_READ, self._read_stdin)
        while not self._stopping:
            for key, _ in self._selector.select():
                if isinstance(key.data, Connection):
                    self._advance(key.data)
                else:
                    key.data()

    def _read_stdin(self):
        try:
            self._stopping = not os.read(STDIN, 4096)
        except BlockingIOError:
            pass
        except OSError:
            self._stopping = True

    def _accept(self):
        sock = self._listener.accept()
        if sock is not None:
            conn = Connection(sock, self._password)
            self._selector.register(conn, selectors.EVENT_READ, conn)
            self._advance(conn)

    def _advance(self, conn):
        """Serves the requests that have arrived on a connection."""
        try:
            request = conn.poll()
            while request is not None:
                if not self._answer(conn, request):
                    if not conn.linger():
                        self._drop(conn)
                    return
                conn.keep()
                request = conn.next_request()
        except EOFError:
            self._drop(conn)
        except WrongPassword:
            self._warn("refused a request with a wrong connect password")
            self._drop(conn)
        except ProtocolError as err:
            self._warn("closed a connection: %s" % err)
            self._drop(conn)

    def _answer(self, conn, request):
        method = request.control()
        if method is None:
            return self._serve(conn, request)
        try:
            conn.send(CONTROL_REPLIES[method])
        except ClientGone:
            pass
        return False

    def _drop(self, conn):
        self._selector.unregister(conn)
        conn.close()

    @staticmethod
    def _warn(message):
        print("Passenger's WSGI loader: " + message, file=sys.stderr, flush=True)
