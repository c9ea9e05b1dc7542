"""The settings of a project without a database."""

import os

from django.core.management.utils import get_random_secret_key

# Nothing here outlives a process, so that each may have a key of its own. A
# project with sessions or signed cookies has to set SECRET_KEY.
SECRET_KEY = os.environ.get("SECRET_KEY") or get_random_secret_key()
DEBUG = os.environ.get("WSGI_ENV") == "development"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "hello.urls"
WSGI_APPLICATION = "hello.wsgi.application"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
APPEND_SLASH = False
USE_TZ = True
