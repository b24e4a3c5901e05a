"""Exports a small recurrent network over token ids; see tools/make-recurrent-fixture."""
import os

import torch
from torch import nn

OUT = "Tests/QConvertEndToEndTests/Fixtures/words.onnx"


class Words(nn.Module):
    """An embedding large enough to be quantized, a bidirectional LSTM, a GRU and a linear layer."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(1024, 8)
        self.lstm = nn.LSTM(8, 16, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(32, 16, batch_first=True)
        self.head = nn.Linear(16, 10)

    def forward(self, ids):
        x, _ = self.lstm(self.embedding(ids))
        x, _ = self.gru(x)
        return self.head(x)


torch.manual_seed(7)
os.makedirs(os.path.dirname(OUT), exist_ok=True)
torch.onnx.export(
    Words().eval(), torch.zeros(2, 5, dtype=torch.int64), OUT, input_names=["ids"], output_names=["scores"],
    dynamic_axes={"ids": {0: "batch", 1: "length"}, "scores": {0: "batch", 1: "length"}}, opset_version=17, dynamo=False)
print(OUT, os.path.getsize(OUT), "bytes")
