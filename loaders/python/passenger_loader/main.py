"""What the scripts run. Each function returns the exit status of the process."""

import os

from . import application, handshake, log, process_title
from .log import describe_failure, warn


def run_loader():
    """Loads the application and serves its requests."""
    options = _begin()
    if options is None:
        return 1

    worker = _worker_class()
    try:
        loaded = application.load(options, process_title.of_worker(options))
    except BaseException:
        handshake.fail(describe_failure())

    return _work(worker, loaded, options, forked=False)


def run_preloader():
    """Loads the application and forks workers, each of which then serves its requests."""
    # Not for those who load the application directly: it takes them time.
    from .fork_safety import ForkUnsafe
    from .preloader import Preloader

    options = _begin()
    if options is None:
        return 1

    worker = _worker_class()
    try:
        loaded = application.load(options, process_title.of_preloader(options))
        preloader = Preloader(options)
    except ForkUnsafe as err:
        handshake.fail(str(err))
    except BaseException:
        handshake.fail(describe_failure())

    preloader.run()
    # Only what was forked continues here.
    options = _begin()
    if options is None:
        return 1

    process_title.set_title(process_title.of_worker(options))
    # By this the spawner finds what the worker has started.
    os.environ["PASSENGER_GUPID"] = options.get("gupid", "")
    return _work(worker, loaded, options, forked=True)


def _begin():
    try:
        options = handshake.begin()
        log.kind = "ASGI" if options.get("app_type") == "asgi" else "WSGI"
        return options
    except handshake.HandshakeError as err:
        warn(str(err))
        return None


def _worker_class():
    """Is called before the application is loaded, whose own modules may have the names of those that this needs."""
    # Only what the type needs: the other one takes time to load.
    if log.kind == "ASGI":
        from .asgi import Worker
    else:
        from .worker import Worker

    return Worker


def _work(worker_class, loaded, options, forked):
    try:
        worker = worker_class(loaded, options)
    except BaseException:
        handshake.fail(describe_failure())

    worker.run(forked)
    return 0
