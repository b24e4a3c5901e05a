"""Rounds matrices and filters of a safetensors file to multiples of 1/127 of their peak; see tools/measure-float-activations."""
import json
import struct
import sys

import numpy as np

source, target, granularity = sys.argv[1:]
with open(source, "rb") as file:
    header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    data = bytearray(file.read())
for name, entry in header.items():
    if name == "__metadata__" or entry["dtype"] != "F32" or len(entry["shape"]) not in (2, 4):
        continue
    start, end = entry["data_offsets"]
    weight = np.frombuffer(data[start:end], np.float32).reshape(entry["shape"])
    axes = tuple(range(1, weight.ndim)) if granularity == "per-channel" else None
    scale = np.abs(weight).max(axis=axes, keepdims=True) / 127
    scale[scale == 0] = 1
    data[start:end] = (np.rint(weight / scale) * scale).astype(np.float32).tobytes()
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
with open(target, "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + data)
