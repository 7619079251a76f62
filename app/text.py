"""Names from outside (files, labels of a model) as text that can be shown and encoded, whatever is in them."""

from collections.abc import Collection


def printable(text: str) -> str:
    """Text as one line that no terminal obeys: line breaks, control characters and undecodable bytes as escapes."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def nearest(word: str, known: Collection[str]) -> str:
    """ "; did you mean ...?" where one of the known words is near, else what there is."""
    from difflib import get_close_matches  # most runs need none of it

    near = get_close_matches(word, known, 1)
    return f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(known) or 'none'}"


def encodable(text: str) -> str:
    """Text that UTF-8 and JSON can hold: the bytes of a name that are no UTF-8 as escapes, all else as it is."""
    return text.encode(errors="backslashreplace").decode()
