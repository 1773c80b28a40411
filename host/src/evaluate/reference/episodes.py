"""Reference values for the comparison of episodes and runs: what WFDB's epicmp and rxr count.

Writes pairs of annotation files (reference and test), compares each with epicmp and rxr, and prints the counts as CSV:

    python3 episodes.py EPICMP RXR > episodes.csv

EPICMP and RXR take five arguments: the two files, the sample rate in Hz, the record's length in samples and the start of
the comparison in seconds. They print, separated by commas, the numbers below.

- EPICMP, of atrial fibrillation: TPs, FN, TPp, FP; duration of the reference's episodes and overlap with the test's,
  duration of the test's episodes and overlap with the reference's, in samples.
- RXR, of ventricular runs and then of supraventricular ones: CTs, CFN, CTp, CFP, STs, SFN, STp, SFP, LTs, LFN, LTp, LFP.

The committed numbers come from epicmp.c (last revised 9 May 2010) and rxr.c (24 April 2020) of WFDB 10.7
(github.com/bemoody/wfdb, commits 9bc87164a7cc and 9d50a45caeab): the functions epicmp, find_episode and find_overlap for AF
without exclusions (no -x), and rxr, amap and find_longest_run, in the same order of statements, compiled with gcc 12, with a
small reader of annotation files in place of the WFDB library (not the whole programs). A rhythm change without a name,
which epicmp does not survive, is passed over. The annotation before a list's
first one is empty in each comparison; in the whole program it is the last one of the comparison before. The same two
executables gave every number that the whole programs of WFDB 10.7 print for sixty other pairs of annotation files.
Python 3.11, standard library only.

The test `episode_tests.rs` beside this folder makes the same lists from the same seeds, so no annotation file needs to be
kept: both sides use SplitMix64 (Steele et al. 2014) and integer arithmetic only. A list's seed is the CRC-32 of its name.

Columns: the list's name; its sample rate in Hz; its length in samples; the start in seconds; 8 numbers of EPICMP; 24 of RXR.
"""

import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

MASK = (1 << 64) - 1
N, V, F, S, Q, NOISE, RHYTHM, FLUTTER_START, FLUTTER_END = 1, 5, 6, 9, 13, 14, 28, 32, 33
NORMAL = [N, N, N, N, N, N, 2, 3, 25, Q, 12, 30]
VENTRICULAR = [V, V, V, V, F, 10, 41]
SUPRAVENTRICULAR = [S, S, 8, 4, 7, 11, 34, 35]
RHYTHMS = ["(N", "(AFIB", "(N", "(AFIB", "(AFL", "(VFL", "(B", ""]
RELABEL = [N, S, V, F, Q]
RUNS = [1, 2, 2, 3, 4, 5, 6, 9]


class SplitMix64:
    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) % limit

    def pick(self, items):
        return items[self.below(len(items))]


def synthetic(random, rate, samples):
    """Annotations (sample, code, subtype, text) with runs, rhythms, flutter and shutdowns."""
    annotations = []
    t = random.below(rate)
    left, kind = 0, NORMAL
    while t < samples:
        what = random.below(1000)
        if what < 12:
            annotations.append((t, RHYTHM, 0, random.pick(RHYTHMS)))
        elif what < 14:
            annotations.append((t, FLUTTER_START, 0, ""))
        elif what < 22:
            annotations.append((t, FLUTTER_END, 0, ""))
        elif what < 25:
            annotations.append((t, NOISE, 0x30, ""))
        elif what < 30:
            annotations.append((t, NOISE, 0, ""))
        else:
            if left == 0:
                draw = random.below(100)
                kind = VENTRICULAR if draw < 8 else SUPRAVENTRICULAR if draw < 16 else NORMAL
                left = 1 if kind is NORMAL else random.pick(RUNS)
            left -= 1
            annotations.append((t, random.pick(kind), 0, ""))
        t += rate * 30 // 100 + random.below(rate * 60 // 100)
    return annotations


def perturbed(random, annotations, rate):
    """A copy with some annotations dropped, moved, relabelled and added."""
    copy = []
    for t, code, subtype, text in annotations:
        if random.below(100) >= 4:
            reach = rate // 20 if random.below(100) < 80 else rate * 22 // 100
            if code == RHYTHM:
                reach = rate * 20
            moved = max(0, t + random.below(2 * reach + 1) - reach)
            if code < NOISE and random.below(100) < 6:
                code = random.pick(RELABEL)
            copy.append((moved, code, subtype, text))
        if random.below(1000) < 6:
            copy.append((t, RHYTHM, 0, random.pick(RHYTHMS)))
    return sorted(copy, key=lambda annotation: annotation[0])


def write(path, annotations):
    words, before = [], 0
    for t, code, subtype, text in annotations:
        step = t - before
        if step > 1023:
            words += [59 << 10, step >> 16, step & 0xFFFF]
            step = 0
        words.append(code << 10 | step)
        if subtype:
            words.append(61 << 10 | subtype)
        if text:
            data = text.encode() + b"\0" * (len(text) & 1)
            words.append(63 << 10 | len(text))
            words += [w for (w,) in struct.iter_unpack("<H", data)]
        before = t
    path.write_bytes(b"".join(struct.pack("<H", w) for w in words + [0]))


def main():
    programs = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        pair = [pathlib.Path(folder) / name for name in ("r.atr", "r.tst")]
        for i in range(200):
            name = f"episodes{i:03}"
            random = SplitMix64(zlib.crc32(name.encode()))
            rate = [128, 250, 360, 500][i % 4]
            start = [300, 0, 60, 300, 17][i % 5]
            samples = rate * 900
            reference = synthetic(random, rate, samples)
            write(pair[0], reference)
            write(pair[1], perturbed(random, reference, rate))
            setting = [str(rate), str(samples), str(start)]
            cells = [name, *setting]
            for program in programs:
                done = subprocess.run([program, *pair, *setting], check=True, capture_output=True, text=True)
                cells.append(done.stdout.strip())
            print(",".join(cells))


main()
