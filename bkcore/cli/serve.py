"""bkcore serve: the embedded ssh server of a home."""

import click

from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import own_home
from bkcore.cli.options import Verb
from bkcore.errors import UsageError


@click.command(cls=Verb, examples=["bkcore serve --listen 127.0.0.1:2222"])
@click.option("--listen", default="127.0.0.1:0", help="ADDRESS:PORT; port 0 takes a free one, see serve.json.")
def serve(frame: Frame, listen: str) -> Result:
    """Open this home's door without an sshd: the same keys, the same gate."""
    address, _, port = listen.rpartition(":")
    if not address or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"{listen} is no ADDRESS:PORT", hint="such as 127.0.0.1:2222")
    home = own_home(frame, "serve")
    from bkcore.server import serve as run

    run(home.root, address.strip("[]"), int(port), ready=lambda number: frame.say(f"listening on {address}:{number}"))
    return Result()
