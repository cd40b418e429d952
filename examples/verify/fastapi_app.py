"""Signing in with a code, by FastAPI: `pip install fastapi`, then `fastapi dev fastapi_app.py`."""

import os

from fastapi import FastAPI, Form, HTTPException, Response

from mepush.client.api import Client
from mepush.client.errors import ApiError

app = FastAPI()
push = Client(os.environ["MEPUSH_URL"], os.environ["MEPUSH_API_KEY"])


@app.post("/codes")
def send(phone: str = Form()) -> dict[str, str]:
    try:
        started = push.verifications.start(phone, template="login-code", purpose="login", bind=phone)
    except ApiError as error:
        raise HTTPException(error.status, str(error), {"Retry-After": str(error.retry_after_s or 60)}) from None
    return {"verification": started["id"]}


@app.post("/sign-in")
def sign_in(response: Response, phone: str = Form(), verification: str = Form(), code: str = Form()) -> dict[str, str]:
    checked = push.verifications.check(verification, code, bind=phone)  # the code of this phone, and of no other
    if checked["result"] != "approved":
        raise HTTPException(403, checked["detail"])
    response.set_cookie("session", f"of {phone}", httponly=True, secure=True)  # your own session
    return {"signed": "in"}
