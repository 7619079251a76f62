"""Text to the phoneme signs that Kokoro was trained on, by espeak-ng."""
# ruff: noqa: RUF001 - letters of the IPA look like others

import re
import shutil
import subprocess

from tinyhark.app.errors import HarkError

_TIE = "^"  # espeak-ng writes it between the letters of a diphthong or an affricate

# The signs of espeak-ng as Kokoro's vocabulary (misaki's convention) writes them; longer ones first.
_SIGNS = (
    ("ʔˌn\u0329", "tᵊn"),
    ("ʔn\u0329", "tᵊn"),
    ("a^ɪ", "I"),
    ("a^ʊ", "W"),
    ("e^ɪ", "A"),
    ("ɔ^ɪ", "Y"),
    ("d^ʒ", "ʤ"),
    ("t^ʃ", "ʧ"),
    ("ə^l", "ᵊl"),
    ("ʔn", "tᵊn"),
    ("ʲo", "jo"),
    ("ʲə", "jə"),
    ("ʔ", "t"),
    ("ʲ", ""),
    ("ɚ", "əɹ"),
    ("ɐ", "ə"),
    ("ɬ", "l"),
    ("r", "ɹ"),
    ("x", "k"),
    ("ç", "k"),
    ("ɾ", "T"),
    ("\u0303", ""),
)
_BRITISH = (("e^ə", "ɛː"), ("eə", "ɛː"), ("i^ə", "ɪə"), ("iə", "ɪə"), ("ə^ʊ", "Q"), ("e", "A"), ("o", "ɔ"))
_AMERICAN = (("o^ʊ", "O"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɪə", "iə"), ("ː", ""), ("e", "A"), ("o", "ɔ"))
_PUNCTUATION = re.compile(r"\s*([,;:.!?…—]+)\s*")


def espeak_program() -> str:
    """Where espeak-ng is; raises HarkError where it is not installed."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise HarkError("espeak-ng: not found; install it (Debian: apt-get install espeak-ng)")
    return program


def run_espeak(arguments: list[str], text: str = "") -> bytes:
    """What espeak-ng writes on stdout when it reads `text` on stdin; raises HarkError with its own last line."""
    result = subprocess.run([espeak_program(), *arguments], input=text.encode(), capture_output=True, check=False)
    if result.returncode:
        complaint = result.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise HarkError(f"espeak-ng: exit status {result.returncode}: {complaint[-1]}")
    return result.stdout


def ipa(text: str, language: str) -> str:
    """Text in IPA, `^` tying diphthongs and affricates, words apart, no punctuation. language: en-us, en-gb, ..."""
    out = run_espeak(["-q", "--ipa", f"--tie={_TIE}", "-v", language, "-b", "1", "--stdin"], text).decode()
    return " ".join(out.split())


def kokoro_signs(text_ipa: str, british: bool) -> str:
    """IPA as `ipa` gives it in the signs of Kokoro's vocabulary: one sign a diphthong or an affricate."""
    out = text_ipa
    for espeak, sign in (*_SIGNS, *(_BRITISH if british else _AMERICAN)):
        out = out.replace(espeak, sign)
    out = re.sub("(\\S)\u0329", r"ᵊ\1", out)  # a syllabic consonant gets its vowel
    return out.replace(_TIE, "").replace("-", "")


def kokoro_phonemes(text: str, british: bool) -> str:
    """Text as Kokoro reads it, with its punctuation, which shapes the melody; HarkError where nothing can be said."""
    language = "en-gb" if british else "en-us"
    pieces = _PUNCTUATION.split(text.strip())  # words, marks, words, ...
    out = ""
    for words, marks in zip(pieces[::2], [*pieces[1::2], ""], strict=True):
        if words:
            out += kokoro_signs(ipa(words, language), british)
        out += marks + " " if marks else ""
    if not re.search(r"\w", out):
        raise HarkError(f"{text!r}: nothing that can be spoken; write words")
    return out.strip()
