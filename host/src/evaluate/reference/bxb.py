"""Reference values for the beat-by-beat comparison: tables that WFDB's bxb prints.

Writes pairs of annotation files (reference and test), compares each with bxb and prints its tables as CSV:

    python3 bxb.py BXB > bxb-synthetic.csv
        annotation lists made from random numbers, each against a perturbed copy of itself
    python3 bxb.py BXB $HEARTLENS_DATA/mitdb $HEARTLENS_DATA/svdb > bxb-records.csv
        the same of every .atr there

BXB is a program that takes the options -r -a -f -S of bxb. The committed tables come from bxb.c of WFDB (last revised
27 April 2020, github.com/bemoody/wfdb, commit 337f3d0701f7): its main loop, getref, gettest, rpann, tpann and amap
unchanged, compiled with gcc, with a small reader of headers and annotation files in place of the WFDB library, and an
array that counts pairs in place of one variable a pair (not the whole program). Python 3.11, standard library only.

The test `tests.rs` beside this folder makes the same lists from the same seeds, so no annotation file needs to be kept:
both sides use SplitMix64 (Steele et al. 2014) and integer arithmetic only. A list's seed is the CRC-32 of its name.

Columns: the list's name; its sample rate in Hz; its length in samples, 0 for unknown; bxb's -f in seconds; 49 cells,
rows N S V F Q O X by columns n s v f q o x; the test's shutdown time as bxb prints it, in seconds.
"""

import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

MASK = (1 << 64) - 1
N, V, F, S, Q, NOISE, RHYTHM, FLUTTER_WAVE, FLUTTER_START, FLUTTER_END = 1, 5, 6, 9, 13, 14, 28, 31, 32, 33
QRS = {*range(1, 14), 25, 30, 31, 34, 35, 38, 41}
BEATS = [N, N, N, N, N, 2, 3, 4, V, V, F, 7, 8, S, 10, 11, 12, Q, 25, 30, 34, 35, 38, 41]
RELABEL = [N, S, V, F, Q, FLUTTER_WAVE]
EXTRA = [(N, 0)] * 4 + [(V, 0), (V, 0), (S, 0), (S, 0), (NOISE, 0x30), (NOISE, 0), (NOISE, 0)]
EXTRA += [(NOISE, -1), (FLUTTER_START, 0)] + [(FLUTTER_END, 0)] * 4 + [(RHYTHM, 0)]


class SplitMix64:
    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) % limit

    def around_zero(self, limit):
        return self.below(2 * limit + 1) - limit

    def pick(self, items):
        return items[self.below(len(items))]


def synthetic(random, rate, samples):
    """Annotations (sample, code, subtype) at a rhythm that is fast at times, with all that bxb treats specially."""
    annotations = []
    t = random.below(rate)
    while t < samples:
        what = random.below(1000)
        if what < 900:
            annotations.append((t, random.pick(BEATS), 0))
        elif what < 915:
            annotations.append((t, NOISE, 0x30))
        elif what < 930:
            annotations.append((t, NOISE, 0))
        elif what < 935:
            annotations.append((t, FLUTTER_START, 0))
        elif what < 960:
            annotations.append((t, FLUTTER_END, 0))
        elif what < 980:
            annotations.append((t, FLUTTER_WAVE, 0))
        else:
            annotations.append((t, RHYTHM, 0))
        if random.below(3) == 0:
            t += rate * 5 // 100 + random.below(rate * 30 // 100)
        else:
            t += rate * 40 // 100 + random.below(rate * 80 // 100)
    return annotations


def perturbed(random, annotations, rate):
    """A copy with some annotations dropped, moved, relabelled and added."""
    copy = []
    for t, code, subtype in annotations:
        if random.below(100) >= 4:
            how_far = random.below(100)
            reach = rate // 50 if how_far < 70 else rate // 8 if how_far < 90 else rate * 22 // 100
            moved = max(0, t + random.around_zero(reach))
            if code in QRS and random.below(100) < 8:
                code = random.pick(RELABEL)
            copy.append((moved, code, subtype))
        if random.below(100) < 5:
            at = max(0, t + random.around_zero(rate * 30 // 100))
            copy.append((at, *random.pick(EXTRA)))
    return sorted(copy, key=lambda annotation: annotation[0])


def read(path):
    """Annotations of a file in MIT format: sample, code and subtype."""
    words = [w for (w,) in struct.iter_unpack("<H", path.read_bytes())]
    annotations, t, i = [], 0, 0
    while i < len(words) and words[i] != 0:
        code, number = words[i] >> 10, words[i] & 1023
        i += 1
        if code == 59:
            t += struct.unpack(">i", struct.pack(">HH", words[i], words[i + 1]))[0]
            i += 2
        elif code == 63:
            i += (number + 1) // 2
        elif code == 61:
            sample, kind, _ = annotations[-1]
            annotations[-1] = (sample, kind, struct.unpack("b", bytes([number & 255]))[0])
        elif code < 50:
            t += number
            annotations.append((t, code, 0))
    return annotations


def write(path, annotations):
    out, before = bytearray(), 0
    for t, code, subtype in annotations:
        step = t - before
        if step > 1023:
            out += struct.pack("<H", 59 << 10) + struct.pack("<HH", step >> 16, step & 0xFFFF)
            step = 0
        out += struct.pack("<H", code << 10 | step)
        if subtype != 0:
            out += struct.pack("<H", 61 << 10 | subtype & 1023)
        before = t
    path.write_bytes(out + b"\0\0")


def compare(bxb, folder, reference, test, rate, samples, start):
    (folder / "case.hea").write_text(f"case 1 {rate} {samples}\ncase.dat 16 200 16 0 0 0 0 ECG\n")
    write(folder / "case.ref", reference)
    write(folder / "case.tst", test)
    command = [bxb, "-r", "case", "-a", "ref", "tst", "-f", str(start), "-S", "-"]
    printed = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    rows = [line[4:].split() for line in printed.splitlines() if line[1:4] in {f"{r} |" for r in "NSVFQOX"}]
    cells = [cell for row in rows for cell in (row + ["0"] * 7)[:7]]
    assert len(cells) == 49, printed
    shutdown = printed.split("Total shutdown time:")[1].split()[0]
    return cells + [shutdown]


def main():
    bxb, folders = str(pathlib.Path(sys.argv[1]).resolve()), [pathlib.Path(f) for f in sys.argv[2:]]
    cases = []
    if folders:
        for folder in folders:
            for path in sorted(folder.glob("*.atr")):
                header = path.with_suffix(".hea").read_text().split("\n")[0].split()
                cases.append((f"{folder.name}/{path.stem}", int(header[2]), int(header[3]), read(path)))
    else:
        for number in range(200):
            rate = [128, 250, 360][number % 3]
            samples = rate * 480
            cases.append((f"synthetic/{number}", rate, samples, None))
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, rate, samples, reference) in enumerate(cases):
            random = SplitMix64(zlib.crc32(name.encode()))
            if reference is None:
                reference = synthetic(random, rate, samples)
            test = perturbed(random, reference, rate)
            for start in [300, 0] if number % 2 == 0 else [300]:
                known = 0 if number % 5 == 4 else samples
                cells = compare(bxb, pathlib.Path(folder), reference, test, rate, known, start)
                print(",".join([name, str(rate), str(known), str(start), *cells]))


main()
