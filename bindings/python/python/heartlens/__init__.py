"""Heartlens reads an ECG and says what each heartbeat is: N, S, V or F (AAMI EC57).

    import heartlens as hl

    beats = hl.classify(signal_mv, fs=250)
    record = hl.read("holter.edf")
    analysis = record.classify(lead="best")
    for row in hl.classify_records("recordings/", threads=8): ...
    monitor = hl.Monitor(fs=250)
    for event in monitor.push(chunk): ...
    hl.evaluate("mitdb/").qrs.se
    views = hl.views(signal_mv, fs=250)

Signals are float arrays in mV, and rates in Hz. In the examples of docstrings, DEMO is the path of a record.
Research software, not a medical device.
"""

from heartlens._errors import HeartlensError, InputError, ModelError, RecordError
from heartlens._figures import Figures, Svg
from heartlens._heartlens import (
    Analysis,
    Beat,
    BeatList,
    Beats,
    Compiled,
    Event,
    Lead,
    Model,
    Monitor,
    Record,
    Records,
    Row,
    Views,
    __version__,
    classify,
    classify_records,
    compile,
    detect,
    evaluate,
    read,
    signal,
    views,
)

__all__ = [
    "Analysis",
    "Beat",
    "BeatList",
    "Beats",
    "Compiled",
    "Event",
    "Figures",
    "HeartlensError",
    "InputError",
    "Lead",
    "Model",
    "ModelError",
    "Monitor",
    "Record",
    "RecordError",
    "Records",
    "Row",
    "Svg",
    "Views",
    "__version__",
    "classify",
    "classify_records",
    "compile",
    "detect",
    "evaluate",
    "read",
    "signal",
    "views",
]
