"""A real terminal: tmux on a socket of its own, keys in, pictures out."""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

_PAUSE = 0.05
_GONE_SECONDS = 15.0
# What a terminal program may leave behind: the other screen, a hidden cursor, a mouse that talks.
_MODES = "#{alternate_on} #{cursor_flag} #{mouse_any_flag} #{bracket_paste_flag} #{pane_current_command}"


class Terminal:
    """A shell in a terminal of that size. folder: its working folder."""

    def __init__(self, folder: Path, size: tuple[int, int], **environ: str) -> None:
        self._socket = str(Path(tempfile.mkdtemp(prefix="bk-tmux-")) / "s")
        env = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environ}
        # The size is the terminal's own, whatever somebody outside said of theirs.
        for name in ("TMUX", "COLUMNS", "LINES"):
            env.pop(name, None)
        argv = ["-f", "/dev/null", "new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), "-c", str(folder)]
        self._tmux(*argv, "sh", env=env)
        self.wait_for(r"^[#$] ?$")

    def _tmux(self, *words: str, env: dict[str, str] | None = None) -> str:
        argv = ["tmux", "-S", self._socket, *words]
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout

    def type(self, line: str) -> None:
        """Type a line, and enter."""
        self._tmux("send-keys", "-l", line)
        self.press("Enter")

    def press(self, *keys: str) -> None:
        """Press keys, as tmux calls them."""
        self._tmux("send-keys", *keys)

    def screen(self) -> str:
        """What is to be seen."""
        return self._tmux("capture-pane", "-p")

    def wait_for(self, pattern: str, seconds: float = 30.0) -> str:
        """Wait until the screen shows something (a regular expression over lines). AssertionError with the screen."""
        deadline = time.monotonic() + seconds
        while True:
            shown = self.screen()
            if re.search(pattern, shown, re.MULTILINE):
                return shown
            assert time.monotonic() < deadline, f"{pattern!r} was not seen within {seconds} s:\n{shown}"
            time.sleep(_PAUSE)

    def modes(self) -> str:
        """What the terminal is set to, and who has it."""
        return self._tmux("display-message", "-p", _MODES).strip() + "\n" + self._stty()

    def _stty(self) -> str:
        tty = self._tmux("display-message", "-p", "#{pane_tty}").strip()
        return subprocess.run(["stty", "-a", "-F", tty], capture_output=True, text=True, check=True).stdout

    def resize(self, width: int, height: int) -> None:
        """Another size."""
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def child(self, *words: str) -> int:
        """The process below the shell whose command line has these words. AssertionError if there is none."""
        shell = self._tmux("display-message", "-p", "#{pane_pid}").strip()
        # "-ww": else lines end where the terminal of whoever runs the tests does.
        argv = ["ps", "-ww", "-o", "pid=,args=", "--ppid", shell]
        for line in subprocess.check_output(argv, text=True).splitlines():
            number, _, command = line.strip().partition(" ")
            if all(word in command for word in words):
                return int(number)
        raise AssertionError(f"nothing like {shlex.join(words)} runs in this terminal")

    def hang_up(self) -> None:
        """Close the terminal as if its window were closed."""
        self._tmux("kill-session")

    def close(self) -> None:
        """End it. AssertionError when something that ran in it goes on."""
        inside = self._inside()
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, check=False)
        shutil.rmtree(Path(self._socket).parent)
        deadline = time.monotonic() + _GONE_SECONDS
        while left := [pid for pid in inside if Path(f"/proc/{pid}").exists()]:
            assert time.monotonic() < deadline, f"{left} outlived their terminal"
            time.sleep(_PAUSE)

    def _inside(self) -> list[int]:
        """The shell and what it runs; none when the terminal is gone already."""
        try:
            shell = self._tmux("display-message", "-p", "#{pane_pid}").strip()
        except subprocess.CalledProcessError:
            return []
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", shell, "-p", shell], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in found.stdout.split()]
