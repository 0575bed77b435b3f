"""Who may reach the server: hosts, origins, addresses that need a password."""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

import psutil
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse

from wallpaint.errors import UserError

EVERYWHERE = ("0.0.0.0", "::")


class SameOrigin:
    """ASGI middleware: a request that another site's page makes for its visitor is refused."""

    def __init__(self, app) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        """Pass the request on, or answer 403 when its Origin is not the host it is sent to."""
        if scope["type"] in ("http", "websocket"):
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            if origin and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
                await PlainTextResponse("cross-origin request refused", status_code=403)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def own_names(host: str) -> Iterable[str]:
    """Give the names this machine may be asked for under; any other is a page that rebinds its DNS to us."""
    names = {"localhost", "127.0.0.1", "[::1]", host}
    if host in EVERYWHERE:
        addresses = [entry for entries in psutil.net_if_addrs().values() for entry in entries]
        names |= {entry.address for entry in addresses if entry.family == socket.AF_INET}
        names |= {socket.gethostname(), f"{socket.gethostname()}.local"}
    return sorted(name.lower() for name in names)


def middleware(host: str, share: bool, public: bool) -> list[Middleware]:
    """Give the checks of Host and Origin; a Space stands behind a proxy that has names of its own."""
    hosts = ["*"] if public else [*own_names(host), *(["*.gradio.live"] if share else [])]
    return [Middleware(TrustedHostMiddleware, allowed_hosts=hosts), Middleware(SameOrigin)]


def is_private(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_bind(host: str, port: int, auth: str | None, share: bool) -> None:
    """Refuse an address that others reach without a password, and one that is taken.

    Raises:
        UserError: either of them.
    """
    if (share or not is_private(host)) and not auth:
        where = "--share" if share else f"--host {host}"
        raise UserError(f"others could reach the studio, by {where}, add --auth USER:PASSWORD")
    check_free(host, port)


def check_free(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on.

    Raises:
        UserError: it is taken, or not this machine's.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            reason = problem.strerror or problem
            raise UserError(f"cannot listen ({reason}), {host}:{port}, choose another --port or --host") from None
