"""Images as arrays, by the rules of qconvert's declared preprocessing, with Pillow."""
import csv
import os

import numpy as np
from PIL import Image


def image_paths(folder):
    """The images of a folder in the order of their paths."""
    return sorted(os.path.join(r, f) for r, _, fs in os.walk(folder) for f in fs if f.endswith((".jpg", ".png")))


def image_labels(folder):
    """Labels by path, of a folder with a labels.csv."""
    with open(os.path.join(folder, "labels.csv"), newline="") as file:
        return {os.path.join(folder, row["file"]): int(row["label"]) for row in csv.DictReader(file)}


def image_batches(paths, preprocessing, size=25):
    """Images in batches of float arrays; preprocessing is text such as "resize=256 crop=224 mean=127 std=128"."""
    parts = dict(word.split("=") for word in preprocessing.split())
    resize, crop = int(parts["resize"]), int(parts["crop"])
    numbers = {k: np.array([float(v) for v in parts.get(k, d).split(",")], np.float32).reshape(-1, 1, 1)
               for k, d in [("scale", "1"), ("mean", "0"), ("std", "1")]}
    batch = []
    for path in paths:
        image = Image.open(path).convert("RGB")
        longer = resize * max(image.size) // min(image.size)
        wide = image.size[0] >= image.size[1]
        image = image.resize((longer, resize) if wide else (resize, longer), Image.BILINEAR)
        top, left = round((image.size[1] - crop) / 2), round((image.size[0] - crop) / 2)
        pixels = np.asarray(image.crop((left, top, left + crop, top + crop)), np.float32).transpose(2, 0, 1)
        batch.append((pixels / numbers["scale"] - numbers["mean"]) / numbers["std"])
        if len(batch) == size or path == paths[-1]:
            yield np.stack(batch).astype(np.float32)
            batch = []
