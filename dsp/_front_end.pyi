"""The front end in C (`_front_end.c`); it is there where the installation could build it."""

from .numpy_front_end import Frames, Samples

def log_mel(sound: Samples, hop: int, out: Frames) -> None:
    """[n] int16 -> out [frames, 40] int32 Q16, both contiguous; raises ValueError where `sound` is too short."""

def cepstrum(log_mel: Frames, n_mfcc: int, out: Frames) -> None:
    """[frames, 40] Q16 -> out [frames, n_mfcc] Q16, int32 and contiguous; raises ValueError for other sizes."""
