"""bkcore notify: what people are told, and whether it reaches them."""

import click

from bkcore.cli.frame import Frame, Result
from bkcore.cli.home import own_home
from bkcore.cli.options import Verb
from bkcore.errors import UsageError
from bkcore.paths import ClientHome
from bkcore.safe import safe


@click.command(cls=Verb, examples=["bkcore notify", "bkcore notify --test"])
@click.option("--test", is_flag=True, help="Send a message now, and say what the program said.")
def notify(frame: Frame, test: bool) -> Result:  # noqa: FBT001 - click calls it
    """Show who is told and what waits to be sent; with --test send a message now."""
    from bkcore.config.load import load_server
    from bkcore.modules import config_of
    from bkcore.notify import book, message, outgoing, sendmail

    home = own_home(frame, "notify", plans=True)
    config = config_of(home) if isinstance(home, ClientHome) else load_server(home.config)
    mail, waiting = config.mail, outgoing.waiting(home.mail)
    if not (mail.to and mail.sendmail):
        raise UsageError(
            f"{home.config} tells nobody: [mail] needs sendmail and to",
            hint='[mail]\nsendmail = "/usr/sbin/sendmail"\nto = ["root"]',
        )
    if test and not frame.dry_run:
        sendmail.send(mail.sendmail, mail.to, message.message(config.name, "a test", ["This is a test: all is well."]))
    opened = [known for known in book.read(home.mail / ".book").problems.values() if known.is_open]
    told = ", ".join(map(safe, mail.to))
    sent = [f"handed to {safe(mail.sendmail)} for {told}"] if test else [f"{safe(mail.sendmail)} tells {told}"]
    lines = [f"{known.text} (since {known.seen:%Y-%m-%d %H:%MZ})" for known in opened]
    data = {"to": list(mail.to), "sendmail": mail.sendmail, "waiting": len(waiting), "open": lines}
    return Result(data=data, lines=[*sent, f"{len(waiting)} messages wait, {len(opened)} problems are open", *lines])
