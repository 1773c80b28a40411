"""Writes others.json: small records of other formats, laid out here, and what independent readers make of them. The tests in
records/src/tests/others.rs expect the same.

Tools: pydicom 3.0.2 (writes and reads DICOM), sierraecg 0.4.0 (reads Philips XML), ecgdatakit 2.0.3 (reads SCP-ECG, HL7 aECG and GE
MUSE XML), numpy 2.4.6, Python 3.11. What is packed for Philips (LZW, second differences) and SCP-ECG (Huffman, differences, reference
beat) is packed here and unpacked by them. Kardia ATC has no reader in the Python registry: its samples are the numbers written.
Seed: 20261129 (numpy.random.default_rng). Run in this folder:  python make_others.py

Cases of `name`, `hex` (the file's bytes), `rate`, `names`, `microvolts` (a list a lead), `start`, `age`, `sex`.
"""

import base64
import binascii
import io
import json
import pathlib
import struct
import tempfile
import warnings

import numpy as np
import pydicom
import sierraecg
from ecgdatakit.parsing.parsers import ge_muse_xml, hl7_aecg, scp_ecg
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

warnings.filterwarnings("ignore")
# Leads that are not packed lie in memory that sierraecg cannot write to.
split = sierraecg.lib.split_leads
sierraecg.lib.split_leads = lambda *how: [lead.copy() for lead in split(*how)]
rng = np.random.default_rng(20261129)
TWELVE = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]


def walk(leads, samples, step=9):
    """Something like a signal: small steps, and a spike now and then."""
    counts = rng.integers(-step, step + 1, (leads, samples)).cumsum(axis=1)
    counts[:, 20::37] += rng.integers(100, 400, (leads, 1))
    return counts


def on_disk(name, content, read):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, name)
        path.write_bytes(content)
        return read(path)


def case(name, content, names, rate, microvolts, start, age, sex):
    lists = [[float(x) for x in lead] for lead in microvolts]
    return {"name": name, "hex": content.hex(), "rate": rate, "names": names, "microvolts": lists, "start": start, "age": age, "sex": sex}


# DICOM: two groups, the first derived; sensitivity, correction and baseline of its own each channel.
def code(value, scheme, meaning):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def dicom(name, syntax, interpretation, units, leads=3, samples=50):
    bits = {"SS": (16, "i2"), "US": (16, "u2"), "SB": (8, "i1"), "UB": (8, "u1")}[interpretation]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.9.1.1"
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    meta.TransferSyntaxUID = syntax
    data = FileDataset(name, {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3.4"
    data.AcquisitionDateTime = "20260304050607.25"
    data.PatientName, data.PatientSex, data.PatientAge = "Nobody^Here", "F", "061Y"
    data.ManufacturerModelName = "A recorder"
    little = syntax != ExplicitVRBigEndian
    groups = []
    for originality in ["DERIVED", "ORIGINAL"]:
        group = Dataset()
        group.WaveformOriginality = originality
        group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = leads, samples
        group.SamplingFrequency = "250"
        channels = []
        for i in range(leads):
            channel = Dataset()
            channel.ChannelSourceSequence = [code(f"2:{i}", "MDC", f"Lead {TWELVE[i]}" + (" (Einthoven)" if i == 0 else ""))]
            channel.ChannelSensitivity = str(1.25 + i)
            channel.ChannelSensitivityUnitsSequence = [code(units, "UCUM", "a unit")]
            channel.ChannelSensitivityCorrectionFactor = str(1 + i / 4)
            channel.ChannelBaseline = str(10 * i)
            channel.WaveformBitsStored = bits[0]
            channels.append(channel)
        group.ChannelDefinitionSequence = channels
        group.WaveformBitsAllocated = bits[0]
        group.WaveformSampleInterpretation = interpretation
        counts = walk(leads, samples, 5).T
        if bits[0] == 8:
            counts = counts % 200 - (100 if interpretation == "SB" else 0)
        elif interpretation == "US":
            counts = counts + 32768
        group.WaveformData = counts.astype(("<" if little else ">") + bits[1]).tobytes()
        group["WaveformData"].VR = "OB" if bits[0] == 8 else "OW"
        groups.append(group)
    data.WaveformSequence = groups
    out = io.BytesIO()
    pydicom.dcmwrite(out, data, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=little, enforce_file_format=True)
    content = out.getvalue()
    read = pydicom.dcmread(io.BytesIO(content))
    # pydicom reads the samples of little-endian files alone.
    if little:
        values = read.waveform_array(1).T
    else:
        group = read.WaveformSequence[1]
        raw = np.frombuffer(group.WaveformData, ">i2").reshape(samples, leads).T
        values = np.array([raw[i] * (1.25 + i) * (1 + i / 4) + 10 * i for i in range(leads)])
    per_uv = {"uV": 1.0, "mV": 1e-3}[units]
    return case(name, content, TWELVE[:leads], 250, values / per_uv, "2026-03-04 05:06:07.25", 61, "F")


# Philips: XLI packs a lead as LZW codes of ten bits of the upper and then the lower bytes of its second differences.
def lzw(data):
    table = {bytes([i]): i for i in range(256)}
    codes, current = [], b""
    for byte in data:
        longer = current + bytes([byte])
        if longer in table:
            current = longer
            continue
        codes.append(table[current])
        if len(table) <= 1022:
            table[longer] = len(table)
        current = bytes([byte])
    if current:
        codes.append(table[current])
    bits = "".join(f"{c:010b}" for c in codes) + f"{1023:010b}"
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def xli(lead, begin=7):
    lead = [int(x) for x in lead]
    differences, carry = lead[:2], begin
    for k in range(2, len(lead)):
        # lead[k] = 2 lead[k-1] - lead[k-2] - carry; the difference only tells the next carry.
        next_carry = 2 * lead[k] - lead[k - 1] - lead[k + 1] if k + 1 < len(lead) else 0
        differences.append(next_carry + 64)
        carry = next_carry
    words = np.array(differences, dtype=np.int64).astype(np.int16)
    data = (words.view(np.uint16) >> 8).astype(np.uint8).tobytes() + (words.view(np.uint16) & 255).astype(np.uint8).tobytes()
    codes = lzw(data)
    return struct.pack("<Ihh", len(codes), 1, 2 * lead[1] - lead[0] - lead[2]) + codes


def philips(name, version, packed, wide):
    leads = walk(12, 120)
    stored = leads.copy()
    i, ii = leads[0], leads[1]
    iii = leads[2]
    half = lambda x: np.floor(x / 2).astype(int)
    stored[2] = ii - i - leads[2]
    stored[3] = -leads[3] - half(i + ii)
    stored[4] = half(i - iii) - leads[4]
    stored[5] = half(ii + iii) - leads[5]
    if packed:
        data = b"".join(xli(lead) for lead in stored)
        how = 'compressflag="True" compressmethod="XLI"' if version == "1.03" else 'compression="XLI"'
    else:
        data = stored.astype("<i2").tobytes()
        how = 'compressflag="False"' if version == "1.03" else ""
    labels = "" if version == "1.03" else 'numberofleads="12" leadlabels="' + " ".join(TWELVE) + '" resolution="5"'
    resolution = "<signalresolution>5</signalresolution>" if version == "1.03" else "<resolution>5</resolution>"
    kind = "SierraECG" if version == "1.03" else "PhilipsECG"
    text = f"""<?xml version="1.0" encoding="{'utf-16' if wide else 'UTF-8'}"?>
<restingecgdata xmlns="http://www3.medical.philips.com">
<documentinfo><documenttype>{kind}</documenttype><documentversion>{version}</documentversion></documentinfo>
<dataacquisition date="2026-03-04" time="05:06:07"><signalcharacteristics><samplingrate>500</samplingrate>{resolution}
<acquisitiontype>STD-12</acquisitiontype><numberchannelsallocated>12</numberchannelsallocated></signalcharacteristics></dataacquisition>
<patient><generalpatientdata><age><years>61</years></age><sex>Female</sex></generalpatientdata></patient>
<waveforms><parsedwaveforms dataencoding="Base64" {how} {labels} durationperchannel="240">
{base64.encodebytes(data).decode()}</parsedwaveforms></waveforms></restingecgdata>
"""
    content = text.encode("utf-16") if wide else text.encode()
    read = on_disk(name, content, lambda path: sierraecg.read_file(str(path)))
    values = [np.asarray(lead.samples[:120], dtype=float) * 5 for lead in read.leads]
    assert np.array_equal(np.array(values), leads * 5.0), "what was packed"
    return case(name, content, [lead.label for lead in read.leads], 500, values, "2026-03-04 05:06:07", 61, "F")


# GE MUSE: eight leads.
def muse(name):
    names = ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"]
    def waveform(kind, counts):
        text = f"<Waveform><WaveformType>{kind}</WaveformType><SampleBase>250</SampleBase><SampleExponent>0</SampleExponent>"
        for lead, samples in zip(names, counts):
            data = base64.encodebytes(samples.astype("<i2").tobytes()).decode()
            text += f"<LeadData><LeadByteCountTotal>{2 * len(samples)}</LeadByteCountTotal><LeadSampleCountTotal>{len(samples)}</LeadSampleCountTotal>"
            text += "<LeadAmplitudeUnitsPerBit>4.88</LeadAmplitudeUnitsPerBit><LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits>"
            text += f"<LeadID>{lead}</LeadID><LeadSampleSize>2</LeadSampleSize><WaveFormData>\n{data}</WaveFormData></LeadData>"
        return text + "</Waveform>"
    text = '<?xml version="1.0" encoding="ISO-8859-1"?>\n<!DOCTYPE RestingECG SYSTEM "restecg.dtd">\n<RestingECG>'
    text += "<PatientDemographics><PatientAge>61</PatientAge><AgeUnits>YEARS</AgeUnits><Gender>FEMALE</Gender><PatientLastName>Nob\xf3dy</PatientLastName></PatientDemographics>"
    text += "<TestDemographics><AcquisitionTime>05:06:07</AcquisitionTime><AcquisitionDate>03-04-2026</AcquisitionDate></TestDemographics>"
    text += waveform("Median", walk(8, 30)) + waveform("Rhythm", walk(8, 60)) + "</RestingECG>\n"
    content = text.encode("latin-1")
    parser = next(v for k, v in vars(ge_muse_xml).items() if k.endswith("Parser") and k != "Parser")
    read = on_disk(name, content, lambda path: parser().parse(path))
    leads = {lead.label: np.asarray(lead.samples, dtype=float) * lead.resolution for lead in read.leads}
    return case(name, content, names, 250, [leads[n] for n in names], "2026-03-04 05:06:07", 61, "F")


# HL7 aECG: two sequence sets with a gap of 40 ms between them, and a derived series inside the rhythm's.
def aecg(name):
    lead_names = ["II", "AVR"]
    sets = [walk(2, 25), walk(2, 30)]
    def sequence_set(head, counts):
        text = f'<component><sequenceSet><component><sequence><code code="TIME_ABSOLUTE"/><value xsi:type="GLIST_TS"><head value="{head}"/><increment value="4" unit="ms"/></value></sequence></component>'
        for lead, samples in zip(lead_names, counts):
            digits = " ".join(map(str, samples[:10])) + "<!-- a comment -->" + " " + " ".join(map(str, samples[10:]))
            text += f'<component><sequence><code code="MDC_ECG_LEAD_{lead}"/><value xsi:type="SLIST_PQ"><origin value="0.01" unit="mV"/><scale value="2.5" unit="uV"/><digits>{digits}</digits></value></sequence></component>'
        return text + "</sequenceSet></component>"
    text = '<?xml version="1.0"?>\n<AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><code code="93000"/><effectiveTime><center value="20260304050607"/></effectiveTime>'
    text += '<componentOf><timepointEvent><componentOf><subjectAssignment><subject><trialSubject><subjectDemographicPerson><name>Nobody</name><administrativeGenderCode code="F"/><birthTime value="19641231"/></subjectDemographicPerson></trialSubject></subject></subjectAssignment></componentOf></timepointEvent></componentOf>'
    text += '<component><series><code code="RHYTHM"/>' + sequence_set("20260304050607", sets[0]) + sequence_set("20260304050607.140", sets[1])
    text += '<derivation><derivedSeries><code code="REPRESENTATIVE_BEAT"/>' + sequence_set("20260304050607", [walk(1, 9)[0]] * 2) + "</derivedSeries></derivation></series></component></AnnotatedECG>\n"
    values = [np.concatenate([sets[0][i] * 2.5 + 10, [np.nan] * 10, sets[1][i] * 2.5 + 10]) for i in range(2)]
    found = case(name, text.encode(), ["II", "aVR"], 250, np.nan_to_num(values, nan=1e9), "2026-03-04 05:06:07", 61, "F")
    found["microvolts"] = [[None if x == 1e9 else x for x in lead] for lead in found["microvolts"]]
    return found


# SCP-ECG.
def bits_of_default(value):
    if value == 0:
        return "0"
    if abs(value) <= 8:
        return "1" * abs(value) + "0" + ("1" if value < 0 else "0")
    if -128 <= value < 128:
        return "1111111110" + f"{value & 0xff:08b}"
    return "1111111111" + f"{value & 0xffff:016b}"


def bits_of_own(value):
    """Two tables: 0 and 1 in the first, which a code switches to the second for one value of 12 bits, and back."""
    if value == 0:
        return "0"
    if value == 1:
        return "10"
    return "11" + "0" + f"{value & 0xfff:012b}" + "1"


OWN = struct.pack("<HH", 2, 3)
OWN += struct.pack("<BBBhI", 1, 1, 1, 0, 0b0) + struct.pack("<BBBhI", 2, 2, 1, 1, 0b01) + struct.pack("<BBBhI", 2, 2, 0, 2, 0b11)
OWN += struct.pack("<H", 2) + struct.pack("<BBBhI", 1, 13, 1, 0, 0b0) + struct.pack("<BBBhI", 1, 1, 0, 1, 0b1)


def packed(values, order, bits):
    values = [int(v) for v in values]
    differences = list(values)
    for k in range(len(values)):
        if order == 1 and k >= 1:
            differences[k] = values[k] - values[k - 1]
        if order == 2 and k >= 2:
            differences[k] = values[k] - 2 * values[k - 1] + values[k - 2]
    if bits is None:
        return np.array(values, dtype="<i2").tobytes()
    text = "".join(bits(d) for d in differences)
    text += "0" * (-len(text) % 8)
    data = bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    return data + b"\0" * (len(data) % 2)


def scp(name, order, tables, reference=False):
    codes, samples = [1, 2, 3, 62], 90
    counts = walk(4, samples)
    residual = counts.copy()
    bits = {"default": bits_of_default, "own": bits_of_own, None: None}[tables]
    bodies = {}
    demographics = b"\x02\x05\0A-17\0" + b"\x04\x03\0" + struct.pack("<HB", 61, 1) + b"\x08\x01\0\x02"
    demographics += b"\x19\x04\0" + struct.pack("<HBB", 2026, 3, 4) + b"\x1a\x03\0" + bytes([5, 6, 7]) + b"\xff\0\0"
    bodies[1] = demographics + b"\0" * (len(demographics) % 2)
    if tables:
        body = struct.pack("<H", 19999) if tables == "default" else OWN
        bodies[2] = body + b"\0" * (len(body) % 2)
    bodies[3] = bytes([4, (1 if reference else 0) | 0x04 | (4 << 3)]) + b"".join(struct.pack("<IIB", 1, samples, c) for c in codes)
    if reference:
        beat = walk(4, 21)
        beats = [(0, 11, 20, 31), (1, 40, 45, 50), (0, 61, 70, 81)]
        for kind, begin, fiducial, end in beats:
            if kind == 0:
                residual[:, begin - 1 : end] -= beat[:, : end - begin + 1]
        body = struct.pack("<HHH", 42, 10, len(beats)) + b"".join(struct.pack("<HIII", *b) for b in beats)
        # Every beat's protected zone, which is none where nothing is thinned out.
        bodies[4] = body + b"".join(struct.pack("<II", b, e) for _, b, _, e in beats)
        data = [packed(lead, order, bits) for lead in beat]
        bodies[5] = struct.pack("<HHBB", 2500, 2000, order, 0) + b"".join(struct.pack("<H", len(d)) for d in data) + b"".join(data)
    data = [packed(lead, order, bits) for lead in residual]
    bodies[6] = struct.pack("<HHBB", 2500, 2000, order, 0) + b"".join(struct.pack("<H", len(d)) for d in data) + b"".join(data)
    sections, at = [], 7 + 16 + 120
    for number in range(1, 12):
        body = bodies.get(number, b"")
        body += b"\0" * (len(body) % 2)
        length = 16 + len(body) if body else 0
        if body:
            rest = struct.pack("<HIBB6s", number, length, 20, 20, b"\0" * 6) + body
            sections.append((number, length, at, struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest))
        else:
            sections.append((number, 0, 0, b""))
        at += length
    pointers = struct.pack("<HII", 0, 136, 7) + b"".join(struct.pack("<HII", n, length, place) for n, length, place, _ in sections)
    rest = struct.pack("<HIBB6s", 0, 136, 20, 20, b"SCPECG") + pointers
    body = struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest + b"".join(s for *_, s in sections)
    body = struct.pack("<I", len(body) + 6) + body
    content = struct.pack("<H", binascii.crc_hqx(body, 0xFFFF)) + body
    read = on_disk(name, content, lambda path: scp_ecg.SCPECGParser().parse(path))
    values = [np.asarray(lead.samples, dtype=float) * lead.resolution for lead in read.leads]
    assert np.array_equal(np.array(values), counts * 2.5), name
    return case(name, content, ["I", "II", "V1", "aVR"], 500, values, "2026-03-04 05:06:07", 61, "F")


# Kardia ATC: two leads, and a block that nobody knows.
def atc(name):
    counts = walk(2, 70)
    def block(identifier, data):
        body = identifier + struct.pack("<I", len(data)) + data
        return body + struct.pack("<I", sum(body) & 0xFFFFFFFF)
    info = b"2026-03-04T05:06:07.250-08:00".ljust(32, b"\0") + b"".ljust(44 + 44 + 32 + 32, b"\0") + b"A recorder".ljust(32, b"\0") + b"".ljust(52, b"\0")
    content = b"ALIVE\0\0\0" + struct.pack("<I", 3) + block(b"info", info) + block(b"fmt ", struct.pack("<BHHBH", 1, 300, 500, 2, 0))
    content += block(b"what", b"12345") + block(b"ecg ", counts[0].astype("<i2").tobytes()) + block(b"ecg2", counts[1].astype("<i2").tobytes())
    return case(name, content, ["I", "II"], 300, counts * 0.5, "2026-03-04 05:06:07.25", None, None)


cases = [
    dicom("explicit.dcm", ExplicitVRLittleEndian, "SS", "uV"),
    dicom("implicit.dcm", ImplicitVRLittleEndian, "SS", "mV"),
    dicom("unsigned.dcm", ImplicitVRLittleEndian, "US", "uV"),
    dicom("narrow.dcm", ExplicitVRLittleEndian, "SB", "uV"),
    dicom("offset.dcm", ExplicitVRLittleEndian, "UB", "uV"),
    dicom("big.dcm", ExplicitVRBigEndian, "SS", "uV"),
    philips("plain103.xml", "1.03", False, False),
    philips("packed103.xml", "1.03", True, False),
    philips("packed104.xml", "1.04", True, True),
    muse("muse.xml"),
    aecg("aecg.xml"),
    scp("plain.scp", 0, None),
    scp("first.scp", 1, "default"),
    scp("second.scp", 2, "default"),
    scp("own.scp", 2, "own"),
    scp("reference.scp", 1, "default", reference=True),
    atc("kardia.atc"),
]
with open("others.json", "w") as out:
    json.dump(cases, out, separators=(",", ":"))
    out.write("\n")
print(len(cases), "cases", pydicom.__version__, sierraecg.__version__, np.__version__)
