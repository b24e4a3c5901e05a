"""Converts generated models of several gigabytes and samples their anonymous memory; see tools/check-large-model."""
import argparse
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
from onnx import TensorProto, helper

WIDTH = 8192


def external(name, shape, location, offset, length):
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in [("location", location), ("offset", str(offset)), ("length", str(length))]:
        tensor.external_data.add(key=key, value=value)
    return tensor


def make_model(folder, gigabytes):
    """A 3x3 convolution, pooling, and as many square layers as fill the size."""
    rng = np.random.default_rng(20260101)
    block = rng.standard_normal((WIDTH, WIDTH), dtype=np.float32) * np.float32(1.4 / WIDTH**0.5)
    layers = round(gigabytes * 1e9 / block.nbytes)
    nodes, tensors, offset = [], [], 0
    with open(os.path.join(folder, "weights.bin"), "wb") as file:
        def add(name, array):
            nonlocal offset
            file.write(memoryview(array).cast("B"))
            tensors.append(external(name, array.shape, "weights.bin", offset, array.nbytes))
            offset += array.nbytes

        add("stem.weight", rng.standard_normal((WIDTH, 3, 3, 3), dtype=np.float32))
        nodes.append(helper.make_node("Conv", ["input", "stem.weight"], ["stem"], pads=[1, 1, 1, 1], strides=[2, 2]))
        nodes.append(helper.make_node("GlobalAveragePool", ["stem"], ["pooled"]))
        nodes.append(helper.make_node("Flatten", ["pooled"], ["x0"]))
        for index in range(layers):
            add(f"fc{index}.weight", block)
            add(f"fc{index}.bias", np.zeros(WIDTH, np.float32))
            wires = [f"x{index}", f"fc{index}.weight", f"fc{index}.bias"]
            nodes.append(helper.make_node("Gemm", wires, [f"y{index}"], transB=1))
            nodes.append(helper.make_node("Relu", [f"y{index}"], [f"x{index + 1}"]))
            block *= np.float32(1.01)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "large", [value("input", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [value(f"x{layers}", TensorProto.FLOAT, ["batch", WIDTH])], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = os.path.join(folder, "large.onnx")
    with open(path, "wb") as file:
        file.write(model.SerializeToString())
    np.save(os.path.join(folder, "samples.npy"), rng.standard_normal((2, 3, 8, 8), dtype=np.float32))
    return path, offset


def megabytes_of(status, key):
    for line in status.splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def convert(command):
    """Runs a conversion; returns seconds, and the peaks of anonymous and of all resident memory in MB."""
    start, anonymous, resident = time.monotonic(), 0.0, 0.0
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        while process.poll() is None:
            try:
                with open(f"/proc/{process.pid}/status") as file:
                    status = file.read()
            except OSError:
                continue
            anonymous = max(anonymous, megabytes_of(status, "RssAnon"))
            resident = max(resident, megabytes_of(status, "VmHWM"))
            time.sleep(0.005)
        if process.returncode != 0:
            log.seek(0)
            sys.exit(f"{' '.join(command)}: exit code {process.returncode}: {log.read().decode().strip()}")
    return time.monotonic() - start, anonymous, resident


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--qconvert", required=True)
    parser.add_argument("--gigabytes", type=float, default=4)
    parser.add_argument("--limit", type=float, default=300)
    parser.add_argument("--folder")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        model, size = make_model(folder, args.gigabytes)
        path = lambda name: os.path.join(folder, name)
        conversions = [
            (".onnx -> .qmodel int8 dynamic", model, "out.qmodel", ["--int8"]),
            (".onnx -> .qmodel int8 static", model, "out.qmodel", ["--int8", "--calibrate", path("samples.npy")]),
            (".onnx -> .qmodel fp16", model, "out.qmodel", ["--fp16"]),
            (".onnx -> .safetensors fp32", model, "large.safetensors", []),
            (".safetensors -> .qmodel int8", path("large.safetensors"), "out.qmodel", ["--int8"]),
        ]
        print(f"{'weights of ' + format(size / 1e9, '.2f') + ' GB':34}  seconds  anonymous MB  resident MB, with mapped files")
        failed = False
        for label, source, target, flags in conversions:
            seconds, anonymous, resident = convert([args.qconvert, source, path(target), *flags])
            runs = "--calibrate" in flags
            over = anonymous > args.limit and not runs
            failed |= over
            verdict = f"  above the limit of {args.limit:.0f} MB" if over else "  (runs the network)" if runs else ""
            print(f"{label:34}  {seconds:7.1f}  {anonymous:12.1f}  {resident:11.1f}{verdict}", flush=True)
            if target.endswith(".qmodel"):
                os.remove(path(target))
        sys.exit(1 if failed else 0)


main()
