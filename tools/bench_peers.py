"""Times qconvert, ONNX Runtime and OpenVINO by turns on the same networks; see tools/bench-peers."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

SEED = 20260101
CALIBRATION_SAMPLES = 16
PEERS = ["onnxruntime", "openvino"]


def noise(shape, seed=SEED):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# One runtime with one model, in a process of its own


def open_onnxruntime(path, batch, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    for symbol in batch_symbols(path):
        options.add_free_dimension_override_by_name(symbol, batch)
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    value = session.get_inputs()[0]
    feeds = {value.name: noise([batch, *value.shape[1:]])}
    return lambda: session.run(None, feeds)


def open_openvino(path, batch, threads):
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    shape = [batch, *[d.get_length() for d in list(model.inputs[0].partial_shape)[1:]]]
    model.reshape(shape)
    # One request at a time with all threads; f32 so that bfloat16 hardware does not turn fp32 into something else.
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    data = noise(shape)
    return lambda: request.infer([data], share_inputs=True, share_outputs=True)


def batch_symbols(path):
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    dims = [value.type.tensor_type.shape.dim[0] for value in graph.input if value.type.tensor_type.shape.dim]
    return {dim.dim_param for dim in dims if dim.dim_param}


def time_block(run, seconds):
    """Median and least time of a run in ms, over a block of runs after some that do not count."""
    start = time.perf_counter()
    run(), run()
    while time.perf_counter() - start < 0.2 * seconds:
        run()
    times = []
    start = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - before))
    return statistics.median(times), min(times)


def work(runtime, path, batch, threads):
    """Answers each line of standard input, a number of seconds, with median and minimum of a block."""
    run = {"onnxruntime": open_onnxruntime, "openvino": open_openvino}[runtime](path, batch, threads)
    run()
    print("ready", flush=True)
    for line in sys.stdin:
        print(*time_block(run, float(line)), flush=True)


class Worker:
    def __init__(self, runtime, path, batch, threads):
        command = [sys.executable, __file__, "--worker", runtime, path, str(batch), str(threads)]
        self.name = f"{runtime} on {path}"
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"tools/bench-peers: {self.name} ended")
        return line.strip()

    def block(self, seconds):
        print(seconds, file=self.process.stdin, flush=True)
        return tuple(map(float, self.answer().split()))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# Models


def onnx_input(path):
    """Name and shape of the only input; the batch as 1."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    kind = inputs[0].type.tensor_type
    if len(inputs) != 1 or kind.elem_type != onnx.TensorProto.FLOAT:
        sys.exit(f"tools/bench-peers: {path}: one input of floats is needed")
    dims = [dim.dim_value for dim in kind.shape.dim]
    if 0 in dims[1:]:
        sys.exit(f"tools/bench-peers: {path}: only the batch may be symbolic")
    return inputs[0].name, [1, *dims[1:]], dims[0]


def quantize_with_onnxruntime(path, target, dynamic):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    name, shape, _ = onnx_input(path)

    class Noise(CalibrationDataReader):
        def __init__(self):
            self.samples = iter({name: noise(shape, SEED + i)} for i in range(CALIBRATION_SAMPLES))

        def get_next(self):
            return next(self.samples, None)

    prepared = target + ".prepared"
    quant_pre_process(path, prepared, skip_symbolic_shape=True)
    types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    if dynamic:
        quantize_dynamic(prepared, target, per_channel=True, weight_type=QuantType.QInt8)
    else:
        quantize_static(prepared, target, Noise(), quant_format=QuantFormat.QDQ, per_channel=True, **types)
    os.remove(prepared)


def qconvert(binary, *arguments):
    done = subprocess.run([binary, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"tools/bench-peers: qconvert {' '.join(arguments)}\n{done.stderr.strip()}")
    return done.stdout


def prepare(binary, path, folder, dynamic):
    """The files each runtime runs: (peers' fp32, peers' int8, our fp32, our int8)."""
    name, shape, _ = onnx_input(path)
    stem = os.path.join(folder, os.path.splitext(os.path.basename(path))[0])
    peers = stem + (".ort-dynamic.onnx" if dynamic else ".ort-static.onnx")
    if not os.path.exists(peers) or os.path.getmtime(peers) < os.path.getmtime(path):
        quantize_with_onnxruntime(path, peers, dynamic)
    samples = stem + ".npz"
    np.savez(samples, **{name: np.concatenate([noise(shape, SEED + i) for i in range(CALIBRATION_SAMPLES)])})
    calibration = [] if dynamic else ["--calibrate", samples]
    qconvert(binary, path, stem + ".fp32.qmodel", "--fp32")
    qconvert(binary, path, stem + ".int8.qmodel", "--int8", "--per-channel", *calibration)
    return path, peers, stem + ".fp32.qmodel", stem + ".int8.qmodel"


# Measurement


def measure(binary, files, batch, threads, rounds, seconds):
    """By (runtime, precision): the median of the blocks' medians and the least time of all, in ms."""
    fp32, int8, ours32, ours8 = files
    workers = {}
    for runtime in PEERS:
        workers[runtime, "fp32"] = Worker(runtime, fp32, batch, threads)
        workers[runtime, "int8"] = Worker(runtime, int8, batch, threads)
    blocks = {key: [] for key in [*workers, ("qconvert", "fp32"), ("qconvert", "int8")]}
    for turn in range(rounds):
        keys = [*workers, "qconvert"]
        for key in keys[turn % len(keys) :] + keys[: turn % len(keys)]:
            if key != "qconvert":
                blocks[key].append(workers[key].block(seconds))
                continue
            for precision, model in [("fp32", ours32), ("int8", ours8)]:
                known = blocks["qconvert", precision]
                runs = max(3, int(1000 * seconds / known[-1][0])) if known else 3
                sizes = ["--batch", str(batch), "--threads", str(threads), "--runs", str(runs)]
                block = json.loads(qconvert(binary, "bench", model, *sizes, "--json"))[0]
                known.append((block["median_ms"], block["min_ms"]))
    for worker in workers.values():
        worker.close()
    summary = {}
    for key, times in blocks.items():
        medians, minima = zip(*times)
        summary[key] = {"median": statistics.median(medians), "min": min(minima)}
    return summary


def cpu_name():
    with open("/proc/cpuinfo") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(os.sched_getaffinity(0))} processors" if names else "unknown processor"


def row(name, threads, batch, times):
    cells = [name, str(threads), str(batch)]
    for runtime in [*PEERS, "qconvert"]:
        cells += [f"{times[runtime, precision]:.2f}" for precision in ("fp32", "int8")]
    for precision in ("fp32", "int8"):
        cells.append(f"{times['qconvert', precision] / min(times[peer, precision] for peer in PEERS):.2f}")
    return "| " + " | ".join(cells) + " |"


def numbers(text):
    return [int(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(prog="tools/bench-peers")
    parser.add_argument("binary")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    parser.add_argument("--batch", type=numbers, default=[1, 8])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--statistic", choices=["median", "min"], default="median")
    parser.add_argument("--dynamic", action="store_true")
    parser.add_argument("--keep")
    parser.add_argument("--json")
    args = parser.parse_args()
    import onnxruntime
    import openvino

    temporary = tempfile.TemporaryDirectory(prefix="qconvert-peers-")
    folder = args.keep or temporary.name
    os.makedirs(folder, exist_ok=True)
    kind = "dynamic" if args.dynamic else "static"
    versions = f"ONNX Runtime {onnxruntime.__version__}, OpenVINO {openvino.__version__.split('-')[0]}"
    print(f"{cpu_name()}; {versions}, {qconvert(args.binary, '--version').strip()} (qconvert).")
    print(f"{'Medians' if args.statistic == 'median' else 'Minima'} in ms; int8 is {kind}, per channel. Ratio: qconvert over the faster peer of that precision.\n")
    print("| model | threads | batch | ORT fp32 | ORT int8 | OpenVINO fp32 | OpenVINO int8 | qconvert fp32 | qconvert int8 | fp32 ratio | int8 ratio |")
    print("|---|" + "---:|" * 10, flush=True)
    results, loads = [], []
    for path in args.models:
        name = os.path.splitext(os.path.basename(path))[0]
        files = prepare(args.binary, path, folder, args.dynamic)
        fixed = onnx_input(path)[2]
        for threads in args.threads:
            for batch in args.batch:
                if fixed not in (0, batch):
                    continue
                times = measure(args.binary, files, batch, threads, args.rounds, args.seconds)
                loads.append(os.getloadavg()[0])
                print(row(name, threads, batch, {key: value[args.statistic] for key, value in times.items()}), flush=True)
                entry = {f"{runtime}_{precision}_ms": value for (runtime, precision), value in times.items()}
                results.append({"model": name, "threads": threads, "batch": batch, **entry})
    if not results:
        sys.exit("tools/bench-peers: no model takes these batch sizes")
    print(f"\nLoad of the machine meanwhile: {min(loads):.1f} to {max(loads):.1f} (the benchmark itself adds its threads).")
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"cpu": cpu_name(), "versions": versions, "results": results}, file, indent=2)
    temporary.cleanup()


if sys.argv[1:2] == ["--worker"]:
    work(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
else:
    main()
