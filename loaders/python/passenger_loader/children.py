"""The processes that a preloader has forked."""

import os
import signal
import socket

from .log import warn


class Children:
    """They are waited for by their ids: the application may have children of its own."""

    def __init__(self):
        self._pids = set()
        self._bell, self._button = socket.socketpair()
        self._bell.setblocking(False)
        self._button.setblocking(False)
        # The signal has to be handled, by whatever, for a byte to come by the descriptor.
        self._handler = signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._descriptor = signal.set_wakeup_fd(self._button.fileno(), warn_on_full_buffer=False)

    def fileno(self):
        """What is readable when some may have ended."""
        return self._bell.fileno()

    def add(self, pid):
        self._pids.add(pid)

    def ended(self):
        """Returns the ids and statuses of those that have ended since."""
        try:
            self._bell.recv(4096)
        except BlockingIOError:
            pass

        found = []
        for pid in sorted(self._pids):
            try:
                gone, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                warn("something else has waited for worker %d" % pid)
                self._pids.discard(pid)
                continue

            if gone:
                self._pids.discard(pid)
                found.append((pid, status))

        return found

    def forget(self):
        """Leaves signals, in a child, as the application has set them."""
        signal.set_wakeup_fd(self._descriptor)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL if self._handler is None else self._handler)
        self._bell.close()
        self._button.close()
