from django.urls import path

from . import views

urlpatterns = [
    path("", views.home, name="home"),
    path("form", views.form),
    path("upload", views.upload),
    path("download", views.download),
    path("chunked", views.chunked),
    path("cookies", views.cookies),
    path("redirect", views.to_home),
    path("pid", views.pid),
    path("crash", views.crash),
]
