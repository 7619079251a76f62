"""Speech rendered by programs: for words that lack recordings, for words that are no keyword, for the demo."""

# Kokoro voices that no training clip may carry: the demo and the checks speak with them.
HELD_OUT_VOICES = ("af_nova", "am_echo", "bf_lily", "bm_lewis")
