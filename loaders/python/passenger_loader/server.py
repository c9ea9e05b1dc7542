"""Waits for requests and has them served."""

import math
import os
import select
from functools import partial

from . import handshake
from .connection import READ_SIZE, Connection
from .log import warn
from .request import Refused

# Both take the same events; a second is a thousand milliseconds to the other one.
POLL, SECOND = (select.epoll, 1) if hasattr(select, "epoll") else (select.poll, 1000)


class Server:
    """Serves until the spawner closes its end of stdin.

    serve is called with a connection and a request, responds, and returns
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
        self._poll = POLL()
        self._watched = {}  # connections, and what else to call, by their descriptors
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._stopping = False

    def run(self):
        for entrance in self._entrances:
            self._watch(entrance.listener.socket.fileno(), partial(self._accept, entrance))

        self._watch(handshake.lifeline, self._read_lifeline)
        watched, buffer = self._watched, self._buffer
        slow = () if self._direct is None else self._direct.connections
        while not self._stopping:
            for descriptor, _ in self._poll.poll(self._patience() if slow else None):
                ready = watched.get(descriptor)
                if isinstance(ready, Connection):
                    self._advance(ready, buffer)
                elif ready is not None:  # else a connection that was closed just before
                    ready()

            if slow:
                for conn in self._direct.expired():
                    self._drop(conn)

    def _patience(self):
        seconds = self._direct.seconds_left()
        return None if seconds is None else math.ceil(seconds * 1000) * SECOND / 1000

    def _watch(self, descriptor, ready):
        self._poll.register(descriptor, select.POLLIN)
        self._watched[descriptor] = ready

    def _forget(self, conn):
        descriptor = conn.fileno()
        self._poll.unregister(descriptor)
        del self._watched[descriptor]

    def _read_lifeline(self):
        try:
            self._stopping = not os.read(handshake.lifeline, 4096)
        except BlockingIOError:
            pass
        except OSError:
            self._stopping = True

    def _accept(self, entrance):
        conn = entrance.accept()
        if conn is not None:
            self._watch(conn.fileno(), conn)
            self._advance(conn, self._buffer)

    def _advance(self, conn, buffer=None):
        """Serves the requests that have arrived on a connection, or are received into the buffer."""
        try:
            request = conn.next_request() if buffer is None else conn.poll(buffer)
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
        self._forget(conn)
        conn.close()
