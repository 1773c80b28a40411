"""Writes annotations.atr, the annotation file that the tests of annotation.rs expect byte for byte.

Tool: wfdb 4.3.1 (the WFDB Python package of MIT-LCP), numpy 2.4.6, Python 3.11. No randomness.
(Where SUB or CHN meet NUM in one annotation, this package writes NUM first and WFDB's C library last; both read either.
Here they do not meet. The files of mitdb hold the C library's order.)
Run in this folder:  python make_annotations.py
"""

import numpy as np
import wfdb

ANNOTATIONS = [
    # sample, symbol, subtype, chan, num, aux
    (7, "+", 0, 0, 0, "(N"),
    (1030, "N", 0, 0, 0, ""),  # the longest step without SKIP, 1023
    (2054, "V", 0, 0, 0, ""),  # the shortest step with SKIP, 1024
    (2054, "~", 2, 1, 0, ""),
    (3000, "a", 1, 1, 0, ""),
    (3001, '"', 0, 1, 3, "odd"),
    (1_000_000, "/", 0, 1, 0, ""),
    (2_000_000_000, "Q", 0, 0, 0, ""),
]

sample, symbol, subtype, chan, num, aux = zip(*ANNOTATIONS)
wfdb.wrann(
    "annotations",
    "atr",
    np.array(sample),
    symbol=list(symbol),
    subtype=np.array(subtype),
    chan=np.array(chan),
    num=np.array(num),
    aux_note=list(aux),
    fs=360,
)
