"""The spawn handshake 1.0, on stdin and stdout.

What ends when the process is to end is moved to another descriptor, so that neither the application nor what it starts
can read it, and wait for it: their stdin is empty.
"""

import os
import socket
import stat
import sys

MARKER = "!> "
GREETING = "You have control 1.0"

STDIN = 0
STDOUT = 1

lifeline = STDIN


class HandshakeError(Exception):
    """The spawner does not speak the handshake."""


def begin():
    """Takes control and returns the options that the spawner sent."""
    _write(MARKER + "I have control 1.0\n")
    source = _source()
    received = bytearray()
    while not received.endswith(b"\n\n"):
        try:
            piece = os.read(source, 8192)
        except ConnectionError:
            piece = b""

        if not piece:
            raise HandshakeError("the spawner closed the connection before it had sent its request")

        received += piece

    _hide_stdin(source)
    greeting, *lines = received.decode("utf-8", "surrogateescape").rstrip("\n").split("\n")
    if greeting != GREETING:
        raise HandshakeError("the spawner sent %r instead of %r" % (greeting, GREETING))

    return _parse(lines)


def _source():
    """Returns the descriptor to read from: stdout is the same socket, and stdin is empty after an exec."""
    if not _is_socket(STDIN) and _is_socket(STDOUT):
        return STDOUT

    return STDIN


def _is_socket(descriptor):
    return stat.S_ISSOCK(os.fstat(descriptor).st_mode)


def _hide_stdin(source):
    """Leaves the lifeline of the process that this one was forked from."""
    global lifeline
    try:
        null = os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return  # a root directory without devices

    former, lifeline = lifeline, os.dup(source)
    os.dup2(null, STDIN)
    os.close(null)
    if former != STDIN:
        os.close(former)


def _parse(lines):
    options = {}
    for line in lines:
        name, _, value = line.partition(":")
        options[name] = value.lstrip(" ")

    return options


def ready(sockets, features):
    """Tells the spawner where the application listens.

    The empty line keeps unfinished output of the application from swallowing
    the first marker.
    """
    lines = ["", MARKER + "Ready"]
    lines += [MARKER + "socket: " + item for item in sockets]
    if features:
        lines.append(MARKER + "features: " + " ".join(features))

    _write("\n".join(lines + [MARKER, ""]))


def fail(text):
    """Tells the spawner why the application does not start, and ends at once.

    Threads that the application may have started are not waited for.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    _error(text)
    os._exit(1)


def _error(text):
    """Sends the text.

    It goes up to the end of the stream, which a child process of the
    application could keep open: hence the shutdown.
    """
    # It may have half of a character that takes two in JSON.
    _write("\n%sError\n%s\n%s\n" % (MARKER, MARKER, text.encode("utf-8", "backslashreplace").decode("utf-8")))
    try:
        with socket.socket(fileno=os.dup(STDOUT)) as stdout:
            stdout.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # a pipe, or the spawner is gone


def worker_exited(pid, status):
    """Tells the spawner how a worker ended; status is that of os.waitpid()."""
    if os.WIFSIGNALED(status):
        how = "signal %d" % os.WTERMSIG(status)
    else:
        how = "exit %d" % os.WEXITSTATUS(status)

    # The empty line ends what the application may have printed.
    _write("\n%sworker_exit: %d %s\n" % (MARKER, pid, how))


def _write(text):
    data = memoryview(text.encode("utf-8", "surrogateescape"))
    try:
        while data:
            data = data[os.write(STDOUT, data):]
    except (BrokenPipeError, ConnectionResetError):
        pass  # the spawner is gone: the end of stdin tells of it
