"""Prepares the process and loads the application."""

import importlib.machinery
import os
import sys
import types

from . import api
from .process_title import set_title

MODULE = "passenger_wsgi"


def load(options, process_title):
    """Makes the process that of an application, and returns the application."""
    startup_file = options["startup_file"]
    root = options.get("app_root") or os.path.dirname(startup_file)
    os.chdir(root)
    sys.path.insert(0, root)
    sys.stdout.reconfigure(line_buffering=True)
    sys.modules["phusion_passenger"] = api
    set_title(process_title)
    module = _execute(startup_file, options.get("startup_file_uid"))
    application = getattr(module, "application", None)
    if not callable(application):
        raise AttributeError("%s does not define a callable named 'application'. %s" % (startup_file, _advice(module)))

    return application


def _advice(module):
    if callable(getattr(module, "app", None)):
        # As in the documents of Flask and other frameworks.
        return "It defines one named 'app': add the line: application = app"

    return (
        "If the WSGI application has another name or lives in another module, import it: from myapp import app as application"
    )


class _StartupFile(importlib.machinery.SourceFileLoader):
    """Loads the startup file, and nothing that lies beside it in its place."""

    def __init__(self, path, owner):
        super().__init__(MODULE, path)
        self._owner = owner

    def get_code(self, fullname):
        with open(self.path, "rb") as file:
            self._check_owner(os.fstat(file.fileno()).st_uid)
            return self.source_to_code(file.read(), self.path)

    def _check_owner(self, uid):
        """Whose file it is has decided whom the process runs as; it may have been replaced since."""
        if self._owner is not None and uid != int(self._owner):
            raise RuntimeError(
                "%s belongs to user %d now, and the process runs as user %s, who owned it when the start began. "
                "Start again when nobody is replacing it." % (self.path, uid, self._owner)
            )


def _execute(startup_file, owner):
    """Executes the startup file as a module, whatever its name."""
    loader = _StartupFile(startup_file, owner)
    # What importlib.util would make, which takes much longer to load.
    module = types.ModuleType(MODULE)
    module.__file__, module.__loader__ = startup_file, loader
    module.__spec__ = importlib.machinery.ModuleSpec(MODULE, loader, origin=startup_file)
    module.__spec__.has_location = True
    sys.modules[MODULE] = module
    loader.exec_module(module)
    return module
