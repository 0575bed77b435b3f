"""No command: serve the studio in a browser."""

import argparse
import os
from pathlib import Path

from wallpaint.errors import UserError
from wallpaint.process import bypass_proxy, collector_paused, drop_broken_proxies


def run(options: argparse.Namespace) -> int:
    """Serve until it is interrupted."""
    workspace = Path(options.workspace)
    if not 1 <= options.port <= 65535:
        raise UserError(f"port {options.port} does not exist, given to --port, use 1 to 65535")
    if options.auth is not None and not all(options.auth.partition(":")[::2]):
        raise UserError("a name and a password are needed, given to --auth, write it as USER:PASSWORD")
    try:
        str(workspace.resolve()).encode()
    except UnicodeEncodeError:
        raise UserError(f"{str(workspace)!a} is no UTF-8 name, given to --workspace, give another folder") from None
    # Gradio reads these as it is imported; the system's folder for temporary files may belong to another user.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("GRADIO_TEMP_DIR", str(workspace.resolve() / "tmp" / "gradio"))
    drop_broken_proxies()
    with collector_paused():
        from wallpaint.ui.app import serve
        from wallpaint.ui.guard import bare_host

    host = bare_host(options.host)
    bypass_proxy(host)
    serve(host, options.port, options.auth, options.share, workspace, options.allowed_host)
    return 0
