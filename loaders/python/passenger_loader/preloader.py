"""A process that has loaded the application and forks others from itself."""

import os
import selectors
import sys
import time

from . import handshake
from .children import Children
from .command import BadCommand, Command
from .fork_safety import Collector, require_one_thread, reseed
from .listener import listen_unix
from .log import print_failure, warn

WORKER_STDERR = "worker_stderr"
WORKER_EXITS = "worker_exits"


class Gate:
    """Keeps a forked process waiting until its parent has replied."""

    def __init__(self):
        self._wait_end, self._open_end = os.pipe()

    def open(self):
        os.write(self._open_end, b"\0")
        self.close()

    def wait(self):
        """Says whether the gate was opened; if not, the parent has ended."""
        os.close(self._open_end)
        opened = os.read(self._wait_end, 1)
        os.close(self._wait_end)
        return bool(opened)

    def close(self):
        os.close(self._open_end)
        os.close(self._wait_end)


class Preloader:
    """Forks a worker for each command."""

    def __init__(self, options):
        offered = options.get("features", "").split()
        if not options.get("socket_dir"):
            raise ValueError("the spawner named no directory for sockets (socket_dir), which a preloader needs")

        require_one_thread()
        self._features = [name for name in (WORKER_STDERR, WORKER_EXITS) if name in offered]
        self._commands = set()
        self._children = Children()
        self._selector = selectors.DefaultSelector()
        self._collector = Collector()
        self._listener = listen_unix(options, "wsgi")

    def run(self):
        """Returns in each worker. The preloader itself ends with its stdin."""
        self._watch(self._listener.socket, self._accept)
        self._watch(handshake.lifeline, self._read_lifeline)
        self._watch(self._children, self._reap)
        sys.stdout.flush()
        handshake.ready([self._listener.address], self._features)
        while not self._turn():
            self._expire()

    def _watch(self, file, data):
        self._selector.register(file, selectors.EVENT_READ, data)

    def _turn(self):
        """Does what there is to do; says whether this is a worker now."""
        for key, _ in self._selector.select(self._patience()):
            if isinstance(key.data, Command):
                if self._advance(key.data):
                    return True
            else:
                key.data()

        return False

    def _patience(self):
        if not self._commands:
            return None

        return max(min(command.deadline for command in self._commands) - time.monotonic(), 0)

    def _expire(self):
        now = time.monotonic()
        for command in [command for command in self._commands if command.deadline <= now]:
            self._refuse(command, "the command was not complete in time")

    def _accept(self):
        sock = self._listener.accept()
        if sock is not None:
            command = Command(sock, WORKER_STDERR in self._features)
            self._commands.add(command)
            self._watch(command, command)

    def _read_lifeline(self):
        try:
            if os.read(handshake.lifeline, 4096):
                return
        except BlockingIOError:
            return
        except OSError:
            pass

        self._stop()

    def _stop(self):
        """Ends the process. What the application does at exit is for workers to do."""
        try:
            self._listener.close()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(0)

    def _reap(self):
        for pid, status in self._children.ended():
            if WORKER_EXITS in self._features:
                handshake.worker_exited(pid, status)

    def _advance(self, command):
        """Carries out a command if it is complete; says whether this is a worker now."""
        try:
            if not command.receive():
                return False
        except BadCommand as err:
            self._refuse(command, str(err))
            return False

        command.settle_stderr()
        # Before the fork: the worker must not touch what it shares with its parent.
        self._forget(command)
        return self._fork(command)

    def _refuse(self, command, why):
        warn("the preloader closed a connection for commands: " + why)
        self._forget(command)
        command.close()

    def _forget(self, command):
        self._selector.unregister(command)
        self._commands.discard(command)

    def _fork(self, command):
        try:
            sys.stdout.flush()
            sys.stderr.flush()
            gate = Gate()
        except OSError as err:
            return self._fork_failed(command, err)

        try:
            pid = os.fork()
        except OSError as err:
            gate.close()
            return self._fork_failed(command, err)

        if pid == 0:
            self._become_worker(command, gate)
            return True

        try:
            os.setpgid(pid, pid)
        except OSError:
            pass  # the worker has done it, or is gone

        self._children.add(pid)
        command.reply_pid(pid)
        gate.open()
        command.close()
        return False

    def _fork_failed(self, command, err):
        text = (
            "The preloader %d could not fork a worker: %s. "
            "Look at the limits of processes, memory and open files for its user." % (os.getpid(), err)
        )
        warn(text)
        command.reply_error(text)
        command.close()
        return False

    def _become_worker(self, command, gate):
        try:
            os.setpgid(0, 0)
            if not gate.wait():
                os._exit(1)

            self._children.forget()
            self._selector.close()
            self._listener.socket.close()
            for other in self._commands:
                other.close()

            command.become_stdio()
            self._collector.resume()
            reseed()
        except BaseException:
            print_failure()
            os._exit(1)
