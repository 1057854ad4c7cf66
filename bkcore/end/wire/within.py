"""An End behind a wire inside of one process: every call is written out and read back, as it would be over a line."""

from bkcore.end.verbs import End
from bkcore.end.wire.far import FarEnd
from bkcore.end.wire.near import Session


class WireEnd(FarEnd):
    """See bkcore.end.verbs.End."""

    def __init__(self, end: End) -> None:
        self._session = Session(end, self._hand_over)
        super().__init__(self._session.greeting(), self._session.take)

    async def close(self) -> None:
        await super().close()
        await self._session.close()

    async def _hand_over(self, line: bytes) -> None:
        self.receive(line)
