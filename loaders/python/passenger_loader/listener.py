"""The sockets on which a process listens."""

import os
import socket

BACKLOG = 65535  # the kernel cuts it to what it allows


class Listener:
    """A listening socket whose file, if it has one, goes with it."""

    def __init__(self, sock, address, path=None):
        self._owner = os.getpid()
        self._path = path
        self.socket = sock
        self.address = address
        sock.listen(BACKLOG)
        sock.setblocking(False)

    def accept(self):
        """Returns a connected socket, or None if it went away before."""
        try:
            conn, _ = self.socket.accept()
        except (BlockingIOError, ConnectionError):
            return None
        if conn.family == socket.AF_INET:
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return conn

    def close(self):
        self.socket.close()
        if self._path is not None and os.getpid() == self._owner:
            try:
                os.unlink(self._path)
            except FileNotFoundError:
                pass


def listen_tcp():
    """Listens where only this machine can connect."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind(("127.0.0.1", 0))
    return Listener(sock, "tcp://127.0.0.1:%d" % sock.getsockname()[1])


def listen_unix(options, prefix):
    """Listens in the spawner's directory, by a name that cannot be guessed."""
    path = os.path.join(options["socket_dir"], "%s.%s" % (prefix, os.urandom(16).hex()))
    path_max = int(options.get("UNIX_PATH_MAX", 104))
    if len(os.fsencode(path)) >= path_max:
        raise OSError(
            "cannot listen on %s: a Unix socket's path has to be shorter than %d bytes. "
            "Choose a shorter instance directory." % (path, path_max)
        )
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        sock.bind(path)
    finally:
        os.umask(umask)
    return Listener(sock, "unix:" + path, path)
