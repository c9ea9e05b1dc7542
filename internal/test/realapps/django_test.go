package realapps_test

import (
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
)

const djangoViews = `import os, time

from django import forms
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render


class UploadForm(forms.Form):
    title = forms.CharField(max_length=50)
    file = forms.FileField()


def index(request):
    return HttpResponse("Hello, world. You're at the polls index.")


def upload(request):
    if request.method == "POST":
        form = UploadForm(request.POST, request.FILES)
        if form.is_valid():
            return HttpResponse("%s: %d bytes" % (form.cleaned_data["title"], form.cleaned_data["file"].size))
    else:
        form = UploadForm()
    return render(request, "upload.html", {"form": form})


def stream(request):
    def parts():
        yield "first\n"
        while not os.path.exists("second"):
            time.sleep(0.01)
        yield "second\n"
    return StreamingHttpResponse(parts(), content_type="text/plain")


def old(request):
    return redirect("index")
`

const djangoURLs = `from django.contrib import admin
from django.urls import path

from polls import views

urlpatterns = [
    path("polls/", views.index, name="index"),
    path("polls/upload/", views.upload),
    path("polls/stream/", views.stream),
    path("old/", views.old),
    path("admin/", admin.site.urls),
]
`

const djangoUploadPage = `<form method="post" enctype="multipart/form-data">
{% csrf_token %}{{ form.as_p }}<button>Send</button>
</form>`

// djangoProject makes a project as the first part of Django's tutorial does, with
// settings for production, and returns the Python that it is for.
func djangoProject(t testing.TB) (w *workshop, interpreter string) {
	t.Helper()
	interpreter = python(t, "django")
	w = newWorkshop(t, "PYTHONDONTWRITEBYTECODE=1",
		"DJANGO_SUPERUSER_USERNAME=admin", "DJANGO_SUPERUSER_PASSWORD=swordfish",
		"DJANGO_SUPERUSER_EMAIL=admin@example.com")
	w.run(t, interpreter, "-m", "django", "startproject", "mysite")
	w.dir = filepath.Join(w.Dir, "mysite")

	w.run(t, interpreter, "manage.py", "startapp", "polls")
	w.write(t, "polls/views.py", djangoViews)
	w.write(t, "polls/templates/upload.html", djangoUploadPage)
	w.write(t, "mysite/urls.py", djangoURLs)
	w.edit(t, "mysite/settings.py",
		"DEBUG = True", "DEBUG = False",
		"ALLOWED_HOSTS = []", `ALLOWED_HOSTS = ["127.0.0.1", "shop.example.com"]`+"\n"+
			`STATIC_ROOT = BASE_DIR / "public" / "static"`,
		"INSTALLED_APPS = [", "INSTALLED_APPS = [\n    'polls',",
		"STATIC_URL = '", "STATIC_URL = '/")
	w.edit(t, "mysite/settings.py", "'//", "'/")
	w.run(t, interpreter, "manage.py", "migrate")
	w.run(t, interpreter, "manage.py", "createsuperuser", "--noinput")
	w.run(t, interpreter, "manage.py", "collectstatic", "--noinput")

	return w, interpreter
}

func TestDjango(t *testing.T) { //nolint:tparallel // its subtests share a directory
	t.Parallel()
	w, interpreter := djangoProject(t)

	for name, args := range map[string][]string{
		"startup file": {"--startup-file", "mysite/wsgi.py"},
		"as generated": nil,
		"preloader":    {"--spawn-method", "smart"},
		"ASGI":         {"--startup-file", "mysite.asgi:application", "--app-type", "asgi"},
	} {
		t.Run(name, func(t *testing.T) {
			s := w.start(t, append(args, "--python", interpreter, "--environment", "production",
				"--health-path", "/polls/", "--health-host", "shop.example.com")...)

			s.get(t, "/polls/", http.StatusOK, "polls index")
			s.requireStatic(t, "/static/admin/css/base.css", "text/css", "body")
			s.requireUpload(t)
			s.lacks(gotSocket, "Django alone")
			if name == "ASGI" {
				// Its parts, made by a generator that is no coroutine, hold up the event loop that sends them.
				s.lacks(gotStream, "Django before 4.2")
			} else {
				s.requireStream(t, "/polls/stream/", "first", "second")
			}

			if args == nil {
				s.requireAdmin(t)
			}

			s.restartUnderLoad(t, "/admin/login/", "Log in")
		})
	}
}

// requireAdmin uses what django.contrib.admin has, and the pages that are with it.
func (s *server) requireAdmin(t testing.TB) {
	t.Helper()
	s.get(t, "/old/", http.StatusFound, "").requireRedirect(t, http.StatusFound, "/polls/")
	s.get(t, "/missing/", http.StatusNotFound, "Not Found")

	s.get(t, "/admin", http.StatusMovedPermanently, "").requireRedirect(t, http.StatusMovedPermanently, "/admin/")
	s.get(t, "/admin/", http.StatusFound, "").requireRedirect(t, http.StatusFound, "/admin/login/?next=/admin/")
	login := s.get(t, "/admin/login/?next=/admin/", http.StatusOK, "Log in")
	s.post(t, "/admin/login/", "username", "admin", "password", "swordfish").require(t, http.StatusForbidden, "CSRF")
	s.post(t, "/admin/login/?next=/admin/", "username", "admin", "password", "swordfish",
		"csrfmiddlewaretoken", login.field(t, "csrfmiddlewaretoken")).requireRedirect(t, http.StatusFound, "/admin/")
	s.get(t, "/admin/", http.StatusOK, "Site administration")

	add := s.get(t, "/admin/auth/group/add/", http.StatusOK, "Add group")
	s.post(t, "/admin/auth/group/add/", "name", "editors", "csrfmiddlewaretoken", add.field(t, "csrfmiddlewaretoken")).
		requireRedirect(t, http.StatusFound, "/admin/auth/group/")
	s.get(t, "/admin/auth/group/", http.StatusOK, "editors")
}

// requireUpload sends the form of a page, with a file.
func (s *server) requireUpload(t testing.TB) {
	t.Helper()
	form := s.get(t, "/polls/upload/", http.StatusOK, "<form")
	s.upload(t, "/polls/upload/", "file", "photo.png", "title", "Photo", "csrfmiddlewaretoken",
		form.field(t, "csrfmiddlewaretoken")).
		require(t, http.StatusOK, "Photo: "+strconv.Itoa(uploadSize)+" bytes")
}
