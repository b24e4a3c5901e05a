"""Runs ONNX models in ONNX Runtime and in qconvert on the same seeded inputs; see tools/compare-onnxruntime."""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime

from image_arrays import image_batches, image_paths


def seeded_inputs(session, seed=20260101):
    rng = np.random.default_rng(seed)
    feeds = {}
    for value in session.get_inputs():
        # A batch of 1; other symbolic extents are lengths.
        shape = [d if isinstance(d, int) else 1 if axis == 0 else 16 for axis, d in enumerate(value.shape)]
        if "int" in value.type:
            feeds[value.name] = rng.integers(0, 100, shape).astype(np.int64)
        else:
            feeds[value.name] = rng.standard_normal(shape).astype(np.float32)
    return feeds


def run_qconvert(binary, model, feeds, folder):
    inputs, outputs = os.path.join(folder, "in.npz"), os.path.join(folder, "out.npz")
    np.savez(inputs, **feeds)
    done = subprocess.run([binary, "run", model, "--inputs", inputs, "--outputs", outputs], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{model}: {done.stderr.strip()}")
    with np.load(outputs) as arrays:
        return [arrays[name] for name in arrays.files]


def compare_predictions(binary, model, folder, preprocessing):
    """Counts images on which both predict the same class."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    same = count = 0
    with tempfile.TemporaryDirectory() as scratch:
        for batch in image_batches(image_paths(folder), preprocessing):
            expected = session.run(None, {name: batch})[0]
            got = run_qconvert(binary, model, {name: batch}, scratch)[0]
            same += int((expected.argmax(1) == got.argmax(1)).sum())
            count += len(batch)
    print(f"{os.path.basename(model):44} same top-1 prediction on {same} of {count} images")
    return same == count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--limit", type=float, default=1e-4)
    parser.add_argument("--images")
    parser.add_argument("--preprocessing", default="resize=256 crop=224")
    args = parser.parse_args()
    if args.images:
        same = [compare_predictions(args.binary, model, args.images, args.preprocessing) for model in args.models]
        sys.exit(0 if all(same) else 1)
    worst = 0.0
    for model in args.models:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        feeds = seeded_inputs(session)
        expected = session.run(None, feeds)[0]
        span = float(expected.max() - expected.min()) or 1.0
        stem = os.path.splitext(model)[0]
        for candidate in [model, stem + ".safetensors"]:
            if not os.path.exists(candidate):
                continue
            names = {"input": next(iter(feeds.values()))} if candidate.endswith(".safetensors") else feeds
            with tempfile.TemporaryDirectory() as folder:
                got = run_qconvert(args.binary, candidate, names, folder)[0]
            error = float(np.abs(got.astype(np.float64) - expected).max()) / span
            worst = max(worst, error)
            print(f"{os.path.basename(candidate):44} largest difference / output range = {error:.2e}")
    sys.exit(0 if worst <= args.limit else 1)


main()
