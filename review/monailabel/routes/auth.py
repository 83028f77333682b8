"""``/auth/``, there only where the server has a token: the password is the token, whatever the user's name."""

import hmac

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from review.monailabel.routes.forms import read_form

router = APIRouter(tags=["MONAI Label"])


@router.get("/auth/")
def enabled() -> dict:
    """That a token is needed."""
    return {"enabled": True, "client_id": "", "realm": ""}


@router.post("/auth/token")
async def token(request: Request):
    """The token, for who knows it."""
    fields, _ = await read_form(request)
    given, right = str(fields.get("password") or ""), request.app.state.settings.token
    if not hmac.compare_digest(given.encode(), right.encode()):
        return JSONResponse({"error": "user or password wrong; the password is the server's token"}, 401)
    return {"access_token": right, "token_type": "bearer"}


@router.get("/auth/token/valid")
def valid() -> dict:
    """That the token which this request carries is right; without one, access is refused before."""
    return {"username": "", "scopes": []}
