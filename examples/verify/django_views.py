"""Signing in with a code, by Django: the two views of a project, and their `urlpatterns`."""

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST

from mepush.client.api import Client
from mepush.client.errors import ApiError


@require_POST
def send(request: HttpRequest) -> JsonResponse:
    with Client(settings.MEPUSH_URL, settings.MEPUSH_API_KEY) as push:
        try:
            started = push.verifications.start(request.POST["phone"], template="login-code", purpose="login")
        except ApiError as error:
            return JsonResponse({"error": str(error)}, status=error.status)
    request.session["verification"], request.session["phone"] = started["id"], request.POST["phone"]
    return JsonResponse({"sent": True})


@require_POST
def sign_in(request: HttpRequest) -> JsonResponse:
    with Client(settings.MEPUSH_URL, settings.MEPUSH_API_KEY) as push:
        checked = push.verifications.check(request.session["verification"], request.POST["code"])
    if checked["result"] != "approved":
        return JsonResponse({"error": checked["detail"]}, status=403)
    # The user of the phone in the session is signed in here: django.contrib.auth.login(request, user)
    return JsonResponse({"signed": "in"})


urlpatterns = [path("codes", send), path("sign-in", sign_in)]
