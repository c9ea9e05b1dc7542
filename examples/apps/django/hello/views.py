import hashlib
import os
import signal

from django.http import (
    Http404,
    HttpResponse,
    HttpResponseBadRequest,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST, require_safe

CHUNK = b"x" * 65536


@require_safe
def home(request):
    return HttpResponse("<!doctype html><title>Django</title><h1>Hello from Django</h1>")


@require_POST
def form(request):
    return JsonResponse(request.POST.dict())


@require_POST
def upload(request):
    file = request.FILES.get("file")
    if file is None:
        return HttpResponseBadRequest("send a file in the form field 'file'")
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return JsonResponse({"size": file.size, "sha256": digest.hexdigest()})


@require_GET
def download(request):
    try:
        count = max(int(request.GET.get("bytes", 1024)), 0)
    except ValueError:
        return HttpResponseBadRequest("'bytes' has to be a number")

    def body():
        left = count
        while left:
            chunk = CHUNK[:left]
            left -= len(chunk)
            yield chunk

    return StreamingHttpResponse(body(), content_type="application/octet-stream")


@require_POST
def chunked(request):
    chunks = iter(lambda: request.read(len(CHUNK)), b"")
    return StreamingHttpResponse(chunks, content_type="application/octet-stream")


@require_GET
def cookies(request):
    try:
        visits = int(request.COOKIES.get("visits", 0)) + 1
    except ValueError:
        visits = 1
    response = JsonResponse({"visits": visits})
    response.set_cookie("visits", visits, httponly=True, samesite="Lax")
    return response


@require_GET
def to_home(request):
    return redirect("home")


@require_GET
def pid(request):
    return HttpResponse(str(os.getpid()), content_type="text/plain")


def crash(request):
    if os.environ.get("CRASH") != "1":
        raise Http404
    os.kill(os.getpid(), signal.SIGKILL)
    return HttpResponse()
