"""Names from outside as text: one line, no commands to a terminal, nothing that UTF-8 lacks."""

from hypothesis import given
from hypothesis import strategies as st

from tinyhark.app.errors import AudioError
from tinyhark.app.text import encodable, printable

ANY = st.text(st.characters())  # surrogates, as undecodable bytes become, too


def test_what_is_shown() -> None:
    assert printable("Grüße 世界.wav") == "Grüße 世界.wav"
    assert printable("a\nb\x1b[31m\udce9\0") == r"a\nb\x1b[31m\udce9\x00"
    assert encodable("ü\n\udce9") == "ü\n\\udce9"
    assert str(AudioError("a\nb: is empty")) == r"a\nb: is empty"


@given(ANY)
def test_printable_is_printable_and_stays_as_it_is(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown


@given(ANY)
def test_encodable_text_can_be_encoded(text: str) -> None:
    assert encodable(text).encode().decode() == encodable(text)
