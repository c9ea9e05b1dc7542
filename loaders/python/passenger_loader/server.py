"""Waits for requests and has them served."""

import os
import selectors
from functools import partial

from .connection import Connection
from .handshake import STDIN
from .log import warn
from .request import Refused


class Server:
    """Serves until the spawner closes its end of stdin.

    serve is called with a connection and a request, answers it, and returns
    whether the connection can be kept. While it runs nothing else is done: the
    process serves one request at a time. Between requests all connections are
    waited for together, so that an idle one blocks no other.
    """

    def __init__(self, sessions, direct, serve):
        self._entrances = [sessions]
        self._direct = direct
        if direct is not None:
            self._entrances.append(direct)

        self._serve = serve
        self._selector = selectors.DefaultSelector()
        self._stopping = False

    def run(self):
        for entrance in self._entrances:
            self._watch(entrance.listener.socket, partial(self._accept, entrance))

        self._watch(STDIN, self._read_stdin)
        slow = () if self._direct is None else self._direct.connections
        while not self._stopping:
            for key, _ in self._selector.select(self._direct.seconds_left() if slow else None):
                if isinstance(key.data, Connection):
                    self._advance(key.data, key.data.poll)
                else:
                    key.data()

            if slow:
                for conn in self._direct.expired():
                    self._drop(conn)

    def _watch(self, file, data):
        self._selector.register(file, selectors.EVENT_READ, data)

    def _read_stdin(self):
        try:
            self._stopping = not os.read(STDIN, 4096)
        except BlockingIOError:
            pass
        except OSError:
            self._stopping = True

    def _accept(self, entrance):
        conn = entrance.accept()
        if conn is not None:
            self._watch(conn, conn)
            self._advance(conn, conn.poll)

    def _advance(self, conn, next_request):
        """Serves the requests that have arrived on a connection."""
        try:
            request = next_request()
            while request is not None:
                if not self._carry_out(conn, request):
                    return

                request = conn.next_request()
        except EOFError:
            self._drop(conn)
        except Refused as refusal:
            warn(str(refusal))
            if not conn.refuse(refusal):
                self._drop(conn)

    def _carry_out(self, conn, request):
        """Says whether the connection is ready for its next request."""
        return self._settle(conn, self._serve(conn, request))

    def _settle(self, conn, keep):
        """Ends an exchange; says whether the connection is ready for another."""
        if keep:
            conn.keep()
            return True

        if not conn.finish():
            self._drop(conn)

        return False

    def _drop(self, conn):
        self._selector.unregister(conn)
        conn.close()
