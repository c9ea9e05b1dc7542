"""Loads a WSGI application and forks processes that serve its requests."""

import os
import runpy
import sys

_LOADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wsgi_loader.py")

if __name__ == "__main__":
    sys.exit(runpy.run_path(_LOADER)["import_main"]().run_preloader())
