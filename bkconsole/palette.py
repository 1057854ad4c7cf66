"""What the command palette finds: every action of the registry, themes, and the clients by name."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from bkconsole.actions import acts_of
from bkconsole.columns import shown_text
from bkconsole.glyphs import charset_of
from bkconsole.view import View
from bkconsole.widgets.scrollbar import draw_scrollbar

if TYPE_CHECKING:
    from bkconsole.app import ConsoleApp


class PaletteDialog(CommandPalette):
    """Textual's, in the app's characters."""

    def __init__(self) -> None:
        super().__init__(placeholder="type words: an action, a theme, a client", id="--command-palette")

    def on_mount(self) -> None:
        """A scroll bar of the app's characters."""
        draw_scrollbar(self.query_one(CommandList), charset_of(self.app))


class Palette(Provider):
    """Searches by words. Nothing it shows is parsed as markup."""

    @property
    def _console(self) -> "ConsoleApp":
        return self.app  # type: ignore[return-value]

    async def discover(self) -> Hits:
        for name, help_, run in self._all():
            yield DiscoveryHit(Content(name), run, text=name, help=help_)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, help_, run in self._all():
            score = max(matcher.match(name), 0.8 * matcher.match(help_))
            if score > 0:
                yield Hit(score, Content(name), run, text=name, help=help_)

    def _all(self) -> Iterator[tuple[str, str, "Callable[[], object]"]]:
        view = self.screen
        if isinstance(view, View):
            for act in acts_of(view.NAME):
                if act.id != "palette":
                    yield f"{act.word} ({act.key})", act.help, partial(view.action_act, act.id)
        for name in self._console.theme_names():
            yield f"theme {shown_text(name)}", "Change the colours", partial(self._console.set_theme, name)
        for client in self._console.client_names():
            shown = shown_text(client)
            yield f"client {shown}", "Show only this client", partial(self._console.go_to_client, client)
