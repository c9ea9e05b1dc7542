"""Loads the application and serves its requests."""

import importlib.machinery
import importlib.util
import os
import sys
import traceback

from . import handshake
from .listener import Listener
from .server import Server
from .wsgi import Exchange

MODULE = "passenger_wsgi"
KEEP_ALIVE = "session_keep_alive"


def run():
    try:
        options = handshake.begin()
    except handshake.HandshakeError as err:
        print("Passenger's WSGI loader: %s" % err, file=sys.stderr)
        return 1
    try:
        _prepare_process(options)
        application = _load_application(options["startup_file"])
        listener = Listener(options)
    except BaseException:
        _fail(traceback.format_exc())
    try:
        _serve(options, application, listener)
    finally:
        listener.close()
    return 0


def _serve(options, application, listener):
    keep_alive = KEEP_ALIVE in options.get("features", "").split()

    def serve(conn, request):
        return Exchange(application, conn, request, keep_alive).run()

    server = Server(listener, options.get("connect_password", ""), serve)
    sys.stdout.flush()
    handshake.ready(["main;%s;session;1" % listener.address], [KEEP_ALIVE] if keep_alive else [])
    server.run()


def _prepare_process(options):
    root = options.get("app_root") or os.path.dirname(options["startup_file"])
    os.chdir(root)
    sys.path.insert(0, root)
    sys.stdout.reconfigure(line_buffering=True)
    if options.get("process_title"):
        _set_title(options["process_title"])


def _set_title(title):
    try:
        import setproctitle
    except ImportError:
        try:
            with open("/proc/self/comm", "w") as comm:
                comm.write(title)
        except OSError:
            pass  # a title is a convenience
    else:
        setproctitle.setproctitle(title)


def _load_application(startup_file):
    """Loads the startup file as a module, whatever its name."""
    loader = importlib.machinery.SourceFileLoader(MODULE, startup_file)
    spec = importlib.util.spec_from_file_location(MODULE, startup_file, loader=loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    loader.exec_module(module)
    application = getattr(module, "application", None)
    if not callable(application):
        raise AttributeError(
            "%s does not define a callable named 'application'. If the WSGI application has another name "
            "or lives in another module, import it: from myapp import app as application" % startup_file
        )
    return application


def _fail(text):
    """Reports a failed start and ends at once.

    Threads that the application may have started are not waited for.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    handshake.error(text)
    os._exit(1)
