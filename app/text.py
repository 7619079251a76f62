"""Names from outside (files, labels of a model) as text that can be shown and encoded, whatever is in them."""


def printable(text: str) -> str:
    """Text as one line that no terminal obeys: line breaks, control characters and undecodable bytes as escapes."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def encodable(text: str) -> str:
    """Text that UTF-8 and JSON can hold: the bytes of a name that are no UTF-8 as escapes, all else as it is."""
    return text.encode(errors="backslashreplace").decode()
