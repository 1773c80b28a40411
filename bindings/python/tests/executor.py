"""Prints the beats of records, every bit: for `cargo xtask executors`.

A line a beat: the record's name, the R peak's sample, the class, and the bits of the four scores.
"""

import sys
from pathlib import Path

import heartlens

for path in sys.argv[1:]:
    beats = heartlens.read(path).classify().beats
    scores = [beats[f"score_{label}"].view("uint32") for label in "NSVF"]
    for row in zip(beats["sample"], beats["class"], *scores, strict=True):
        print(Path(path).stem, *row[:2], *(f"{bits:08x}" for bits in row[2:]))
