"""How a speaker is led through a recording: by the keys of a terminal, or by the clock alone."""

from collections.abc import Callable

from .ear import Ear
from .take import Take
from .words import TAKE_S, Answer

PAUSE_S = 1.5  # before each sign, where nobody presses a key
_KEY_S = 0.3  # the sound of the key itself
_METER = 30  # columns, for 60 dB

_ANSWERS = {"": Answer.GO, "r": Answer.REDO, "q": Answer.STOP}


class ByClock:
    """Announces each take, waits, and gives the sign; all times are of the sound."""

    def __init__(self, ear: Ear, say: Callable[[str], None]) -> None:
        self._ear, self._say = ear, say

    def ask(self, word: str, number: int, count: int) -> Answer:
        """Announce it and wait."""
        self._say(f"{word}, {number} of {count}: get ready")
        self._ear.take(PAUSE_S)
        return Answer.GO

    def sign(self) -> None:
        """Speak now."""
        self._say(f"  speak now ({TAKE_S:g} s)")

    def tell(self, take: Take) -> None:
        """A line."""
        self._say(f"  {verdict(take)}")


class ByKeys:
    """Waits for Enter before each take.

    ask_line: shows a prompt and gives the line that is typed, as `input` does; say: prints a line.
    """

    def __init__(self, ear: Ear, ask_line: Callable[[str], str], say: Callable[[str], None]) -> None:
        self._ear, self._ask_line, self._say = ear, ask_line, say

    def ask(self, word: str, number: int, count: int) -> Answer:
        """Until the answer is one of those offered; the end of the input means stop."""
        while True:
            try:
                line = self._ask_line(
                    f"{word}, {number} of {count}: Enter, then say it (r: the last one again, q: stop) "
                )
            except EOFError:
                return Answer.STOP
            if answer := _ANSWERS.get(line.strip().lower()):
                return answer

    def sign(self) -> None:
        """Speak now."""
        self._ear.forget()
        self._ear.take(_KEY_S)
        self._say("  speak now")

    def tell(self, take: Take) -> None:
        """A line."""
        self._say(f"  {verdict(take)}")


def verdict(take: Take) -> str:
    """What became of a take, in a line."""
    return f"not kept: {take.complaint}" if take.complaint else f"kept, {take.level_dbfs:.0f} dBFS"


def meter(level_dbfs: float) -> str:
    """A level from -60 to 0 dBFS as a bar of fixed width."""
    filled = max(0, min(_METER, round(_METER * (1 + level_dbfs / 60))))
    return f"  [{'#' * filled}{' ' * (_METER - filled)}] {level_dbfs:4.0f} dBFS"
