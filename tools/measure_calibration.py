"""Measures peak memory and time of calibration; see tools/measure-calibration."""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from release_binary import release_binary


def measure(command):
    """Runs a process; returns seconds from start to end, and its peak resident size in bytes."""
    with tempfile.TemporaryFile() as errors:
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            sys.exit(f"tools/measure-calibration: {' '.join(command)}: {errors.read().decode().strip()}")
    return seconds, usage.ru_maxrss * 1024


def quantize_with_onnxruntime(model, images, preprocessing, samples, output):
    """The whole of ONNX Runtime's process: decoding, pre-processing of the model, calibration, writing."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process
    import onnx

    from image_arrays import image_batches, image_paths

    paths = image_paths(images)
    chosen = [paths[i * len(paths) // samples] for i in range(samples)]
    name = onnx.load(model).graph.input[0].name
    batches = image_batches(chosen, preprocessing, size=1)

    class Reader:
        def get_next(self):
            batch = next(batches, None)
            return None if batch is None else {name: batch}

    quant_pre_process(model, output + ".prepared")
    quantize_static(
        output + ".prepared", output, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        calibrate_method=CalibrationMethod.MinMax, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )


def compare_memory(args, qconvert, flags, folder):
    """Whether calibrating on many images takes as much memory as on few."""
    print("| command | " + f"{args.few} images | {args.many} images | growth |\n|---|---:|---:|---:|")
    bounded = True
    for name, command in {
        "qconvert calibrate": [qconvert, "calibrate", args.model, "--data", args.images, "-o", f"{folder}/stats.json"],
        "qconvert IN OUT --int8 --calibrate": [
            qconvert, args.model, f"{folder}/net.qmodel", "--int8", "--calibrate", args.images,
        ],
    }.items():
        few, many = (measure([*command, "--samples", str(n), *flags])[1] for n in [args.few, args.many])
        bounded = bounded and many <= 1.05 * few
        print(f"| `{name}` | {few / 1e6:.1f} MB | {many / 1e6:.1f} MB | {100 * (many / few - 1):+.1f} % |", flush=True)
    return bounded


def compare_time(args, qconvert, flags, folder):
    """Whether qconvert takes no longer than ONNX Runtime."""
    commands = {
        "qconvert": [
            qconvert, args.model, f"{folder}/net.qmodel", "--int8", "--observer", "min-max", "--calibrate", args.images,
            "--samples", str(args.samples), *flags,
        ],
        "ONNX Runtime": [
            sys.executable, os.path.abspath(__file__), "--onnxruntime", args.model, args.images, args.preprocessing,
            str(args.samples), f"{folder}/net.onnx",
        ],
    }
    found = {name: [] for name in commands}
    for _ in range(args.rounds):
        for name, command in commands.items():
            found[name].append(measure(command))
    print(f"| {args.samples} images, min-max | median | all | peak memory |\n|---|---:|---|---:|")
    for name, results in found.items():
        seconds = [s for s, _ in results]
        listed = ", ".join(f"{s:.1f}" for s in seconds)
        print(f"| {name} | {statistics.median(seconds):.1f} s | {listed} | {max(b for _, b in results) / 1e6:.0f} MB |")
    medians = [statistics.median(s for s, _ in results) for results in found.values()]
    return medians[0] <= medians[1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("images")
    parser.add_argument("--preprocessing", required=True)
    parser.add_argument("--few", type=int, default=10)
    parser.add_argument("--many", type=int, default=500)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["memory", "time"])
    parser.add_argument("--qconvert")
    args = parser.parse_args()
    qconvert = release_binary(args.qconvert)
    flags = [part for word in args.preprocessing.split() for part in ("--" + word).split("=", 1)]
    with tempfile.TemporaryDirectory() as folder:
        passed = []
        if args.only != "time":
            passed.append(compare_memory(args, qconvert, flags, folder))
        if args.only != "memory":
            passed.append(compare_time(args, qconvert, flags, folder))
    sys.exit(0 if all(passed) else 1)


if sys.argv[1:2] == ["--onnxruntime"]:
    quantize_with_onnxruntime(*sys.argv[2:5], int(sys.argv[5]), sys.argv[6])
else:
    main()
