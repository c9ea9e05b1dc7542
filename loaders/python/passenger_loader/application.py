"""Prepares the process and loads the application."""

import importlib
import importlib.machinery
import os
import sys
import types

from . import api
from .process_title import set_title

MODULE = "passenger_wsgi"

# What an application may be called, and what may make one, in the order in which they are looked for.
NAMES = ("application", "app")
FACTORIES = ("create_app", "make_app")


def load(options, process_title):
    """Makes the process that of an application, and returns the application."""
    startup_file = options["startup_file"]
    root = options.get("app_root") or os.path.dirname(startup_file)
    os.chdir(root)
    sys.path.insert(0, root)
    sys.stdout.reconfigure(line_buffering=True)
    sys.modules["phusion_passenger"] = api
    set_title(process_title)

    owner = options.get("startup_file_uid")
    if options.get("startup_module"):
        module = _import(options["startup_module"], root, startup_file, owner)
    else:
        module = _execute(startup_file, owner)

    if options.get("startup_callable"):
        return _named(module, options["startup_callable"], startup_file)

    return _found(module, startup_file)


def _named(module, name, startup_file):
    """Returns the callable of a name such as app, site.app or create_app()."""
    path, called, _ = name.partition("()")
    found = module
    for part in path.split("."):
        found = getattr(found, part, None)

    if not callable(found):
        raise AttributeError("%s does not define a callable named '%s'. %s" % (startup_file, path, _advice(module)))

    return _made(path, found) if called else found


def _found(module, startup_file):
    """Returns the callable that has one of the usual names."""
    for name in NAMES:
        if callable(getattr(module, name, None)):
            return getattr(module, name)

    for name in FACTORIES:
        if callable(getattr(module, name, None)):
            return _made(name, getattr(module, name))

    raise AttributeError(
        "%s does not define a callable named 'application' or 'app'. %s" % (startup_file, _advice(module))
    )


def _made(name, factory):
    application = factory()
    if not callable(application):
        raise TypeError("%s() returned %r, which is no application: it cannot be called" % (name, application))

    return application


def _advice(module):
    names = [
        name
        for name, value in vars(module).items()
        if callable(value) and not isinstance(value, type) and not name.startswith("_")
    ]
    text = "If it has another name, give it behind a colon: --startup-file module:name"
    return text + (". These can be called: " + ", ".join(sorted(names)[:10]) if names else "")


def _import(name, root, startup_file, owner):
    """Imports the startup file by its name as a module, from the application's directory or its src."""
    src = os.path.join(root, "src")
    if os.path.commonpath([src, startup_file]) == src:
        sys.path.insert(0, src)

    if owner is not None:
        _check_owner(startup_file, os.stat(startup_file).st_uid, owner)

    return importlib.import_module(name)


def _check_owner(path, uid, owner):
    """The owner of the file has decided which user the process runs as; it may have been replaced since."""
    if owner is not None and uid != int(owner):
        raise RuntimeError(
            "%s belongs to user %d now, and the process runs as user %s, who owned it when the start began. "
            "Start again when it is not being replaced." % (path, uid, owner)
        )


class _StartupFile(importlib.machinery.SourceFileLoader):
    """Loads the startup file, and nothing that lies beside it in its place."""

    def __init__(self, path, owner):
        super().__init__(MODULE, path)
        self._owner = owner

    def get_code(self, fullname):
        with open(self.path, "rb") as file:
            _check_owner(self.path, os.fstat(file.fileno()).st_uid, self._owner)
            return self.source_to_code(file.read(), self.path)


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
