"""Who may reach the server: hosts, origins, addresses that need a password."""

import contextlib
import ipaddress
import re
import socket
from collections.abc import Collection, Iterable

import psutil
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse

from wallpaint.errors import UserError

EVERYWHERE = ("0.0.0.0", "::")
LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
# A name or address as it stands in a Host header without its port; '*.' may stand for all names under a domain.
ALLOWED = re.compile(rf"(?:{LABEL}\.)*{LABEL}|\*(?:\.{LABEL}){{2,}}|\[[0-9a-f:.]+\]")


class OwnPages:
    """ASGI middleware: only this studio's own pages, under names that it answers to, get through.

    A foreign Host is a page that rebinds its DNS to us, a foreign Origin one that asks in its visitor's name.
    """

    def __init__(self, app, hosts: Collection[str] | None, origins: Collection[str]) -> None:
        """Wrap `app`.

        Args:
            app: the ASGI app behind it.
            hosts: the names it answers to, in small letters, '*.domain' for all under a domain; None: to any.
            origins: names whose pages are its own even where a proxy has put another name into Host.
        """
        self.app, self.hosts, self.origins = app, hosts, origins

    async def __call__(self, scope, receive, send) -> None:
        """Pass the request on, or answer 400 to a foreign Host, 403 to a foreign Origin."""
        if scope["type"] in ("http", "websocket"):
            headers = Headers(scope=scope)
            host, refused = headers.get("host", "").lower(), None
            if not self.knows(host):
                refused = PlainTextResponse("unknown host: start the studio with --allowed-host", status_code=400)
            elif not self.is_own(headers.get("origin"), host):
                refused = PlainTextResponse("cross-origin request refused", status_code=403)
            if refused:
                await refused(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def knows(self, host: str) -> bool:
        """Tell whether a Host header, its port left out, names this studio."""
        if self.hosts is None:
            return True
        name = host_name(host)
        return name in self.hosts or any(h.startswith("*.") and name.endswith(h[1:]) for h in self.hosts)

    def is_own(self, origin: str | None, host: str) -> bool:
        """Tell whether an Origin is the very host asked for, or one of `origins` at its scheme's own port.

        A wildcard does not vouch for origins: other people's machines stand under the same domain.
        """
        if not origin:
            return True
        scheme, _, site = origin.lower().partition("://")
        port = {"http": ":80", "https": ":443"}.get(scheme, "")
        site = site.removesuffix(port)
        return bool(site) and (site == host.removesuffix(port) or site in self.origins)


def host_name(host: str) -> str:
    """Leave the port, and the dot of a fully qualified name, out of a Host header."""
    return re.sub(r":\d*$", "", host).removesuffix(".")


def check_hosts(names: Iterable[str]) -> list[str]:
    """Give allowed host names in small letters, as a browser writes them into a Host header.

    Raises:
        UserError: one is no plain name or address, or a wildcard for more than the names under one domain.
    """
    hosts = [name.strip().lower().removesuffix(".") for name in names]
    for i, host in enumerate(hosts):
        with contextlib.suppress(ValueError):  # no address of IPv6, no international name
            hosts[i] = host = f"[{ipaddress.IPv6Address(host)}]" if ":" in host else host.encode("idna").decode()
        if not ALLOWED.fullmatch(host):
            raise UserError(
                f"{host!r} is no host name, given to --allowed-host, write a bare name such as "
                "studio.example.com, or *.example.com for all names under a domain"
            )
    return hosts


def own_names(host: str) -> Iterable[str]:
    """Give the names this machine may be asked for under; any other is a page that rebinds its DNS to us."""
    names = {"localhost", "127.0.0.1", "[::1]", bracketed(host)}
    if host in EVERYWHERE:
        addresses = [entry for entries in psutil.net_if_addrs().values() for entry in entries]
        own = [entry.address for entry in addresses if entry.family in (socket.AF_INET, socket.AF_INET6)]
        names |= {bracketed(address.partition("%")[0]) for address in own}
        names |= {socket.gethostname(), f"{socket.gethostname()}.local"}
    return sorted(name.lower() for name in names)


def middleware(host: str, share: bool, public: bool, allowed_hosts: Iterable[str]) -> list[Middleware]:
    """Give the checks of Host and Origin; a Space stands behind a proxy that has names of its own."""
    allowed = check_hosts(allowed_hosts)
    hosts = [*own_names(host), *allowed, *(["*.gradio.live"] if share else [])]
    origins = [name for name in allowed if not name.startswith("*")]
    return [Middleware(OwnPages, hosts=None if public else hosts, origins=origins)]


def bare_host(host: str) -> str:
    """Give the address of --host as the system writes it: '[::1]' is '::1', '127.1' is '127.0.0.1'.

    Raises:
        UserError: it is no name and no address.
    """
    bare = host.strip().removeprefix("[").removesuffix("]")
    if not re.fullmatch(r"[\w.-]+|[0-9a-fA-F:.]+(%\w+)?", bare):
        raise UserError(
            f"{host[:60]!r} is no address, given to --host, write a bare name or address such as 127.0.0.1 (the port "
            "is --port's)"
        )
    try:
        return socket.inet_ntoa(socket.inet_aton(bare))
    except (OSError, ValueError):
        return bare


def bracketed(host: str) -> str:
    """Give a host as it stands in an address: IPv6's in brackets."""
    return f"[{host}]" if ":" in host else host


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
    """Refuse an address that cannot be listened on; UserError where it is taken, or not this machine's."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            reason = problem.strerror or problem
            raise UserError(
                f"cannot listen ({reason}), {bracketed(host)}:{port}, choose another --port or --host"
            ) from None
