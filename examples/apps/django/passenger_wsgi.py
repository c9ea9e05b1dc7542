from hello.wsgi import application  # noqa: F401
