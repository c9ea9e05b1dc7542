"""Finds the views of a WSGI application that would be better off with ASGI."""

import sys
from inspect import iscoroutinefunction

MAX_NAMED = 3

TEXT = (
    "%d of the application's views are coroutines (%s). By WSGI, each request for one makes an event loop of its own, "
    "and keeps the process from other requests meanwhile. %s"
)
ADVICE_DJANGO = "Serve the application by ASGI, in which they share one: --startup-file %s:application --app-type asgi"
ADVICE_FLASK = "Flask has no other way; Quart, with the same interface, serves them by ASGI, in which they share one."


def advice(application):
    """Returns what to tell of the application's coroutines, or None. The first request has to be over."""
    views, text = _of_flask(application), ADVICE_FLASK
    if not views:
        views, text = _of_django(), ADVICE_DJANGO % _asgi_module(application)

    if not views:
        return None

    names = ", ".join(views[:MAX_NAMED]) + (", ..." if len(views) > MAX_NAMED else "")
    return TEXT % (len(views), names, text)


def _of_flask(application):
    flask = sys.modules.get("flask")
    if flask is None or not isinstance(application, flask.Flask):
        return []

    return [name for name, view in application.view_functions.items() if iscoroutinefunction(view)]


def _of_django():
    # Only where a request has loaded them: a handler has no other use for them before.
    if "django.core.handlers.wsgi" not in sys.modules or "django.urls" not in sys.modules:
        return []

    found, pending = [], [sys.modules["django.urls"].get_resolver()]
    while pending:
        for pattern in pending.pop().url_patterns:
            view = getattr(pattern, "callback", None)
            if hasattr(pattern, "url_patterns"):
                pending.append(pattern)
            elif iscoroutinefunction(view) or getattr(getattr(view, "view_class", None), "view_is_async", False):
                found.append(pattern.lookup_str)

    return found


def _asgi_module(application):
    """Returns the name of the module that the project has for ASGI, which lies beside that for WSGI."""
    settings = getattr(sys.modules.get("django.conf"), "settings", None)
    wsgi = (getattr(settings, "WSGI_APPLICATION", None) or "").rpartition(".")[0] or _module_of(application)
    if wsgi.rpartition(".")[2] == "wsgi":
        return wsgi[: -len("wsgi")] + "asgi"

    # The settings may be a package, or a module beside others.
    project = (getattr(settings, "SETTINGS_MODULE", None) or "PROJECT").partition(".")[0]
    return project + ".asgi"


def _module_of(application):
    for name, module in list(sys.modules.items()):
        if name.rpartition(".")[2] == "wsgi" and getattr(module, "application", None) is application:
            return name

    return ""
