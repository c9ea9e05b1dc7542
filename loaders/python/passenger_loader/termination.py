"""SIGTERM from elsewhere than the spawner, as systemd sends it to all processes of a unit at once."""

import _thread
import contextlib
import os
import signal
import socket
import stat


class Termination:
    """Makes SIGTERM mean the end of the lifeline: what is in hand is finished before the process ends.

    A second one, or one after the spawner has ended the lifeline, ends the process at once.
    """

    def __init__(self, lifeline):
        self._pid = os.getpid()
        self._lifeline = lifeline
        # Those of threads that fork.
        self._masks = {}

    def install(self):
        signal.signal(signal.SIGTERM, self._handle)
        os.register_at_fork(before=self._block, after_in_parent=self._unblock, after_in_child=self._leave)

    def _handle(self, number, frame):
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() != self._pid or self._has_ended():
            os.kill(os.getpid(), number)
            return

        with _socket(self._lifeline) as lifeline:
            lifeline.shutdown(socket.SHUT_RD)

    def _has_ended(self):
        try:
            with _socket(self._lifeline) as lifeline:
                return not lifeline.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _block(self):
        """Holds the signal back until a child can end by it: what Python has not handled yet is lost in a fork."""
        self._masks[_thread.get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])

    def _unblock(self):
        signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.pop(_thread.get_ident()))

    def _leave(self):
        """Is for children of the application, which share the lifeline."""
        try:
            if signal.getsignal(signal.SIGTERM) == self._handle:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
        finally:
            self._unblock()


@contextlib.contextmanager
def _socket(descriptor):
    """Uses a descriptor as a socket, and leaves it as it is."""
    blocking = os.get_blocking(descriptor)
    # A default timeout of the application changes that, of stdout as well.
    sock = socket.socket(fileno=descriptor)
    try:
        yield sock
    finally:
        sock.detach()
        os.set_blocking(descriptor, blocking)


def offer(lifeline):
    """Leaves an application that handles the signal alone, and a spawner whose lifeline is no socket."""
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL and stat.S_ISSOCK(os.fstat(lifeline).st_mode):
        Termination(lifeline).install()
