"""Commands to a preloader."""

import array
import os
import socket
import time

from .handshake import MARKER, STDIN, STDOUT
from .log import warn

SPAWN = b"spawn"
STDERR = 2

MAX_COMMAND = 64 * 1024
SECONDS = 10

DESCRIPTOR = array.array("i")
MAX_DESCRIPTORS = 253  # Linux passes no more at once


class BadCommand(Exception):
    """What came is no command. The text is for the log."""


class Command:
    """A connection for one command, which becomes that of the worker."""

    def __init__(self, sock, takes_stderr):
        self._socket = sock
        self._takes_stderr = takes_stderr
        self._received = bytearray()
        self._descriptors = []
        self.deadline = time.monotonic() + SECONDS
        sock.setblocking(False)

    def fileno(self):
        return self._socket.fileno()

    def receive(self):
        """Receives what is there, and returns whether the command is complete."""
        space = socket.CMSG_SPACE(MAX_DESCRIPTORS * DESCRIPTOR.itemsize)
        try:
            data, ancillary, _, _ = self._socket.recvmsg(MAX_COMMAND, space)
        except BlockingIOError:
            return False
        except ConnectionError:
            data, ancillary = b"", []

        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._take_descriptors(content)

        if not data:
            raise BadCommand("the connection ended before the command was complete")

        self._received += data
        return self._is_complete()

    def _take_descriptors(self, content):
        descriptors = array.array("i")
        descriptors.frombytes(content[:len(content) - len(content) % descriptors.itemsize])
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
            self._descriptors.append(descriptor)

    def _is_complete(self):
        name, newline, _ = self._received.partition(b"\n")
        if newline and name != SPAWN:
            raise BadCommand("the command %r is unknown" % name[:100].decode("latin-1"))

        end = self._received.find(b"\n\n") + 2
        if max(end, len(self._received)) > MAX_COMMAND:
            raise BadCommand("the command is longer than %d bytes" % MAX_COMMAND)

        if end >= 2 and end != len(self._received):
            raise BadCommand("something followed the command before its reply")

        return end >= 2

    def settle_stderr(self):
        """Keeps the descriptor for the worker's stderr if it is one."""
        unwanted = len(self._descriptors) - (1 if self._takes_stderr else 0)
        if unwanted > 0:
            warn("closed %d descriptors that came with a command: one was agreed on at most" % len(self._descriptors))
            self._close_descriptors()

    def reply_pid(self, pid):
        self._reply("OK\n%d\n" % pid)

    def reply_error(self, text):
        self._reply("Error\n%s\n%s\n" % (MARKER, text))

    def _reply(self, text):
        try:
            self._socket.sendall(text.encode("utf-8", "surrogateescape"))
        except OSError:
            pass  # whoever asked is gone

    def become_stdio(self):
        """Makes the connection, in a worker, its stdin and stdout."""
        for descriptor in (STDIN, STDOUT):
            os.dup2(self._socket.fileno(), descriptor)

        for descriptor in self._descriptors:
            os.dup2(descriptor, STDERR)

        # The spawner expects a stream that blocks, and so does everybody who prints.
        os.set_blocking(STDIN, True)
        self.close()

    def close(self):
        self._socket.close()
        self._close_descriptors()

    def _close_descriptors(self):
        while self._descriptors:
            os.close(self._descriptors.pop())
