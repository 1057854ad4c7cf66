"""What the links tell the screens."""

from textual.message import Message

from bkcore.end.rows import Changed


class EndChanged(Message):
    """Something on an end is not as before."""

    def __init__(self, name: str, change: Changed) -> None:
        super().__init__()
        self.name = name
        self.change = change


class LinkChanged(Message):
    """A link came up or went down (turned), or what it knows of its end is newer."""

    def __init__(self, name: str, *, turned: bool) -> None:
        super().__init__()
        self.name = name
        self.turned = turned
