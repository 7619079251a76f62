"""Print the keywords in a sound file: python spot.py FILE [MODEL]."""

import sys

import soundfile

from tinyhark.app import Spotter


def main(file: str, model: str = "commands") -> None:
    """Feed a 16 kHz mono file to a spotter, a tenth of a second at a time, as a microphone would."""
    spotter = Spotter(model)
    for chunk in soundfile.blocks(file, blocksize=1600, dtype="int16"):
        for detection in spotter.feed(chunk):
            print(f"{detection.time_s:7.2f} s  {detection.keyword}  {detection.score:.2f}")
    for detection in spotter.finish():
        print(f"{detection.time_s:7.2f} s  {detection.keyword}  {detection.score:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
