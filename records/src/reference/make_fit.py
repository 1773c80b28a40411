"""Writes fit.json: a FIT activity file with hrv messages, and the intervals that an independent reader finds in it. The tests
in records/src/fit.rs expect the same.

Tools: fit-tool 0.9.16 writes (Stages Cycling), fitparse 1.2.0 and garmin-fit-sdk 21.218.0 read, and have to agree; Python 3.11.7.
Seed: 20261126.
Run in this folder:  python make_fit.py
"""

import json
import os
import random

import fitparse
from fit_tool.fit_file_builder import FitFileBuilder
from fit_tool.profile.messages.file_id_message import FileIdMessage
from fit_tool.profile.messages.hrv_message import HrvMessage
from fit_tool.profile.messages.record_message import RecordMessage
from fit_tool.profile.messages.user_profile_message import UserProfileMessage
from fit_tool.profile.profile_type import FileType, Gender, Manufacturer
from garmin_fit_sdk import Decoder, Stream

random.seed(20261126)
builder = FitFileBuilder(auto_define=True)
identity = FileIdMessage()
identity.type = FileType.ACTIVITY
identity.manufacturer = Manufacturer.DEVELOPMENT.value
builder.add(identity)
profile = UserProfileMessage()
profile.gender = Gender.FEMALE
profile.age = 42
builder.add(profile)
for second in range(20):
    record = RecordMessage()
    record.timestamp = 1_700_000_000_000 + 1000 * second
    record.heart_rate = 70 + second
    builder.add(record)
    hrv = HrvMessage()
    hrv.time = [round(0.8 + random.uniform(-0.1, 0.1), 3) for _ in range(1 + second % 5)] + [65.535] * (4 - second % 5)
    builder.add(hrv)
builder.build().to_file("made.fit")

intervals = []
for message in fitparse.FitFile("made.fit").get_messages("hrv"):
    value = message.get_value("time")
    intervals += [v for v in (value if isinstance(value, (list, tuple)) else [value]) if v is not None]
messages, errors = Decoder(Stream.from_file("made.fit")).read()
assert not errors, errors
theirs = [v for message in messages["hrv_mesgs"] for v in (message["time"] if isinstance(message["time"], list) else [message["time"]])]
theirs = [v for v in theirs if v is not None and v < 65]
assert [round(v, 3) for v in intervals if v < 65] == [round(v, 3) for v in theirs], (intervals, theirs)
with open("made.fit", "rb") as file:
    result = {"intervals_s": [round(v, 3) for v in theirs], "file": file.read().hex()}
os.remove("made.fit")
with open("fit.json", "w") as out:
    json.dump(result, out)
    out.write("\n")
