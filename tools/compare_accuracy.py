"""Calibrates qconvert, ONNX Runtime and NNCF on the same arrays and compares; see tools/compare-accuracy."""
import argparse
import contextlib
import functools
import logging
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime

from image_arrays import image_batches, image_labels, image_paths
from release_binary import release_binary

BATCH = 25


def call(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"tools/compare-accuracy: {' '.join(command)}: {done.stderr.strip()}")


def session(model, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def onnxruntime_logits(model, batches, threads):
    ready = session(model, threads)
    name = ready.get_inputs()[0].name
    return np.concatenate([ready.run(None, {name: batch})[0] for batch in batches])


def converted(name, flags, context):
    output = os.path.join(context.folder, name)
    call(context.binary, context.model, output, "--int8", "--calibrate", context.calibration_file, *flags,
         "--threads", str(context.threads))
    return output


def with_exported(context):
    output = converted("net.onnx", [], context)
    yield
    yield onnxruntime_logits(output, context.judged, context.threads)


def with_qconvert(flags, context):
    output = converted("net.qmodel", flags, context)
    yield
    inputs, outputs = os.path.join(context.folder, "in.npz"), os.path.join(context.folder, "out.npz")
    logits = []
    for batch in context.judged:
        np.savez(inputs, **{context.input: batch})
        call(context.binary, "run", output, "--inputs", inputs, "--outputs", outputs, "--threads", str(context.threads))
        with np.load(outputs) as arrays:
            logits.append(arrays[arrays.files[0]])
    yield np.concatenate(logits)


def with_onnxruntime(activations, context):
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared, output = (os.path.join(context.folder, name) for name in ["prepared.onnx", "quantized.onnx"])
    quant_pre_process(context.model, prepared)
    samples = iter([{context.input: context.calibration[i:i + 1]} for i in range(len(context.calibration))])

    class Reader:
        def get_next(self):
            return next(samples, None)

    quantize_static(
        prepared, output, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, calibrate_method=CalibrationMethod.MinMax,
        activation_type=QuantType[activations], weight_type=QuantType.QInt8,
    )
    yield
    yield onnxruntime_logits(output, context.judged, context.threads)


def with_nncf(context):
    import nncf
    import openvino

    nncf.set_log_level(logging.ERROR)
    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": context.threads}
    samples = [context.calibration[i:i + 1] for i in range(len(context.calibration))]
    with contextlib.redirect_stdout(sys.stderr):
        network = nncf.quantize(core.read_model(context.model), nncf.Dataset(samples), subset_size=len(samples))
    yield
    compiled = core.compile_model(network, "CPU", settings)
    yield np.concatenate([compiled([batch])[compiled.output(0)] for batch in context.judged])


CANDIDATES = {
    "qconvert int8": functools.partial(with_qconvert, []),
    "qconvert int8, --observer min-max": functools.partial(with_qconvert, ["--observer", "min-max"]),
    "qconvert int8, --rounding gptq": functools.partial(with_qconvert, ["--rounding", "gptq"]),
    "qconvert int8, --rounding adaround": functools.partial(with_qconvert, ["--rounding", "adaround"]),
    "qconvert int8, written as .onnx, run by ONNX Runtime": with_exported,
    "ONNX Runtime quantize_static, u8 activations": functools.partial(with_onnxruntime, "QUInt8"),
    "ONNX Runtime quantize_static, i8 activations": functools.partial(with_onnxruntime, "QInt8"),
    "NNCF quantize": with_nncf,
}


def sqnr(reference, logits):
    reference, logits = reference.astype(np.float64), logits.astype(np.float64)
    return 10 * np.log10((reference ** 2).sum() / ((reference - logits) ** 2).sum())


def prepare(args, folder):
    """Splits the images as --samples of qconvert does, and writes the arrays for calibration."""
    paths, labels = image_paths(args.images), image_labels(args.images)
    chosen = [i * len(paths) // args.samples for i in range(args.samples)]
    held = sorted(set(range(len(paths))) - set(chosen))
    args.folder, args.input = folder, session(args.model, args.threads).get_inputs()[0].name
    args.calibration = np.concatenate(list(image_batches([paths[i] for i in chosen], args.preprocessing)))
    args.judged = list(image_batches([paths[i] for i in held], args.preprocessing, BATCH))
    args.labels = np.array([labels[paths[i]] for i in held])
    args.calibration_file = os.path.join(folder, "calibration.npz")
    np.savez(args.calibration_file, **{args.input: args.calibration})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("images")
    parser.add_argument("--preprocessing", required=True)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="")
    parser.add_argument("--qconvert")
    args = parser.parse_args()
    args.binary = release_binary(args.qconvert)
    with tempfile.TemporaryDirectory() as folder:
        prepare(args, folder)
        reference = onnxruntime_logits(args.model, args.judged, args.threads)
        right = (reference.argmax(1) == args.labels).mean()
        print(f"{len(args.calibration)} images for calibration, {len(args.labels)} scored; "
              f"fp32 is right on {100 * right:.2f} %.\n")
        print("| network | top-1 change | agreement | SQNR | seconds to make |")
        print("|---|---:|---:|---:|---:|")
        for name, make in CANDIDATES.items():
            if args.only not in name:
                continue
            start = time.monotonic()
            steps = make(args)
            next(steps)
            seconds = time.monotonic() - start
            logits = next(steps)
            change = (logits.argmax(1) == args.labels).mean() - right
            agreement = (logits.argmax(1) == reference.argmax(1)).mean()
            print(f"| {name} | {100 * change:+.2f} | {100 * agreement:.2f} % | {sqnr(reference, logits):.2f} dB | "
                  f"{seconds:.0f} |", flush=True)


main()
