from app import app as application  # noqa: F401
