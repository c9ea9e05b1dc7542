"""Serves several requests at once."""

import queue
import socket
import threading
from collections import deque

from .server import Server


class ThreadedServer(Server):
    """A server that has each request served by one of several threads.

    A connection is with a thread from when its request is complete to the end
    of the response, and only then; else it is with the loop on the main thread,
    which alone opens and closes connections.
    """

    def __init__(self, sessions, direct, serve, thread_count):
        super().__init__(sessions, direct, serve)
        self._requests = queue.SimpleQueue()
        self._served = deque()
        self._failure = None
        self._bell, self._button = socket.socketpair()
        self._bell.setblocking(False)
        self._button.setblocking(False)
        self._threads = [
            threading.Thread(target=self._work, name="Passenger request %d" % (n + 1), daemon=True)
            for n in range(thread_count)
        ]
        for thread in self._threads:
            thread.start()

    def run(self):
        """The requests in hand are finished before it returns."""
        self._watch(self._bell.fileno(), self._take_back)
        try:
            super().run()
        finally:
            for _ in self._threads:
                self._requests.put(None)

            for thread in self._threads:
                thread.join()

        if self._failure is not None:
            raise self._failure

    def _carry_out(self, conn, request):
        self._forget(conn)
        self._requests.put((conn, request))
        return False

    def _work(self):
        for conn, request in iter(self._requests.get, None):
            keep = False
            try:
                keep = self._serve(conn, request)
            except BaseException as failure:  # as on the main thread, it ends the process
                self._failure = failure

            self._served.append((conn, keep))
            # So that they do not outlive the request while this thread waits.
            del conn, request
            self._ring()

    def _ring(self):
        try:
            self._button.send(b"\0")
        except BlockingIOError:
            pass  # it rings already

    def _take_back(self):
        try:
            self._bell.recv(4096)
        except BlockingIOError:
            pass

        if self._failure is not None:
            self._stopping = True

        while self._served:
            conn, keep = self._served.popleft()
            self._watch(conn.fileno(), conn)
            if self._settle(conn, keep):
                self._advance(conn)
