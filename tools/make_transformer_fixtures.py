"""Small random transformers and their results; see tools/make-transformer-fixtures."""
import json
import os
import shutil
import tempfile

import timm
import torch
import torch.nn.functional as F
import transformers as hf
from safetensors.torch import load_file, save_file

ROOT = "Tests/QConvertKitTests/Fixtures/transformers"
torch.manual_seed(20261122)


def randomised(model):
    """Weights that make all parts count, and that half precision holds exactly."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = 0.3 if parameter.dim() > 1 else 0.2
            centre = 1.0 if name.endswith(("norm.weight", "norm1.weight", "norm2.weight", "LayerNorm.weight")) else 0.0
            parameter.copy_((centre + spread * torch.randn_like(parameter)).half().float())
    return model.eval()


def save(name, weights, cases, config=None, **files):
    """A folder with the checkpoint in half precision, JSON files, and `cases`: inputs and expected outputs."""
    folder = os.path.join(ROOT, name)
    os.makedirs(folder)
    half = {k: v.half().contiguous().clone() if v.is_floating_point() else v.clone() for k, v in weights.items()}
    save_file(half, os.path.join(folder, "model.safetensors"))
    for path, content in (({"config.json": config} if config else {}) | files).items():
        target = os.path.join(folder, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w") as out:
            json.dump(content, out, indent=1)
    for case, arrays in cases.items():
        save_file({k: v.detach().contiguous().clone() for k, v in arrays.items()}, os.path.join(folder, case + ".case.safetensors"))


def image_cases(sizes, run):
    cases = {}
    for height, width in sizes:
        x = torch.randn(2, 3, height, width).half().float()
        with torch.no_grad():
            cases[f"{height}x{width}"] = {"input": x, "output": run(x)}
    return cases


def saved(model):
    """The tensors as transformers writes them, whose names are not those in memory."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_file(os.path.join(folder, "model.safetensors"))


def keys(config, *names):
    return {name: getattr(config, name) for name in names}


def bert():
    config = hf.BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, vocab_size=40,
                           max_position_embeddings=12, num_labels=3, attn_implementation="eager")
    ids = torch.randint(0, 40, (3, 7))
    mask = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0, 0], [1, 0, 1, 1, 1, 1, 0]])
    kinds = torch.tensor([[0, 0, 0, 1, 1, 1, 1]] * 3)
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds}
    facts = keys(config, "model_type", "hidden_size", "num_attention_heads", "layer_norm_eps", "hidden_act")
    model = randomised(hf.BertForSequenceClassification(config))
    with torch.no_grad():
        inner = model.bert(**inputs)
        expected = {"last_hidden_state": inner.last_hidden_state, "pooler_output": inner.pooler_output,
                    "logits": model(**inputs).logits}
    save("bert", saved(model), {"case": inputs | expected}, facts)

    model = randomised(hf.BertModel(config))
    with torch.no_grad():
        hidden = model(**inputs).last_hidden_state
        weight = mask.unsqueeze(-1).float()
        mean = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
    weights = saved(model) | {"embeddings.position_ids": torch.arange(12).unsqueeze(0)}
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
               {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
               {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]
    pooling = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    save("sentence", weights,
         {"case": inputs | {"last_hidden_state": hidden, "sentence_embedding": F.normalize(mean, p=2, dim=1)}}, facts,
         **{"modules.json": modules, "1_Pooling/config.json": pooling})


def other_texts():
    """RoBERTa with a sequence classifier and bare, DistilBERT with a classifier."""
    ids = torch.randint(2, 40, (3, 7))
    mask = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0, 0], [1, 0, 1, 1, 1, 1, 0]])
    inputs = {"input_ids": ids, "attention_mask": mask}

    config = hf.RobertaConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, vocab_size=40,
                              max_position_embeddings=14, type_vocab_size=1, layer_norm_eps=1e-5, num_labels=3,
                              attn_implementation="eager")
    facts = keys(config, "model_type", "hidden_size", "num_attention_heads", "layer_norm_eps", "hidden_act")
    model = randomised(hf.RobertaForSequenceClassification(config))
    with torch.no_grad():
        hidden = model.roberta(**inputs).last_hidden_state
        save("roberta", saved(model), {"case": inputs | {"last_hidden_state": hidden, "logits": model(**inputs).logits}}, facts)
    model = randomised(hf.RobertaModel(config))
    with torch.no_grad():
        inner = model(**inputs)
        expected = {"last_hidden_state": inner.last_hidden_state, "pooler_output": inner.pooler_output}
    save("roberta_bare", saved(model), {"case": inputs | expected}, facts)

    config = hf.DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=48, vocab_size=40, max_position_embeddings=12,
                                 num_labels=3, attn_implementation="eager")
    model = randomised(hf.DistilBertForSequenceClassification(config))
    with torch.no_grad():
        hidden = model.distilbert(**inputs).last_hidden_state
        save("distilbert", saved(model), {"case": inputs | {"last_hidden_state": hidden, "logits": model(**inputs).logits}},
             keys(config, "model_type", "dim", "n_heads", "activation"))


def huggingface_vision():
    base = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, image_size=16, patch_size=4,
                num_labels=5, attn_implementation="eager")
    facts = ["model_type", "hidden_size", "num_attention_heads", "layer_norm_eps", "hidden_act"]
    sizes = [(16, 16), (24, 12)]

    config = hf.ViTConfig(**base)
    model = randomised(hf.ViTForImageClassification(config))
    save("vit", saved(model), image_cases(sizes, lambda x: model(x, interpolate_pos_encoding=True).logits), keys(config, *facts))

    config = hf.DeiTConfig(**base)
    deit = randomised(hf.DeiTForImageClassificationWithTeacher(config))
    save("deit", saved(deit), image_cases(sizes, lambda x: deit(x, interpolate_pos_encoding=True).logits), keys(config, *facts))

    config = hf.Dinov2Config(**base | {"mlp_ratio": 2})
    dino = randomised(hf.Dinov2ForImageClassification(config))
    save("dinov2", saved(dino), image_cases(sizes, lambda x: dino(x).logits), keys(config, *facts))

    config = hf.Dinov2WithRegistersConfig(**base | {"mlp_ratio": 2, "use_swiglu_ffn": True, "num_register_tokens": 2})
    registers = randomised(hf.Dinov2WithRegistersModel(config))
    save("dinov2_registers", saved(registers),
         image_cases(sizes + [(8, 8)], lambda x: registers(x).last_hidden_state[:, 0]), keys(config, *facts))


def timm_vision():
    base = dict(img_size=16, patch_size=4, embed_dim=16, depth=4, num_heads=2, mlp_ratio=1.5, dynamic_img_size=True)
    sizes = [(16, 16), (8, 12)]
    facts = {"num_attention_heads": 2}
    plain = randomised(timm.models.VisionTransformer(num_classes=5, **base | {"depth": 2}))
    save("timm", plain.state_dict(), image_cases(sizes, plain), facts)

    backbone = randomised(timm.models.VisionTransformer(num_classes=0, reg_tokens=2, no_embed_class=True, init_values=1.0, **base))
    head = randomised(torch.nn.Linear(5 * 16, 5))

    def linear_head(x):
        states = backbone.get_intermediate_layers(x, n=4, norm=True, return_prefix_tokens=True)
        tokens = [prefix[:, 0] for _, prefix in states]
        return head(torch.cat(tokens + [states[-1][0].mean(1)], dim=1))

    # The layout of the DINOv2 repository: blocks in chunks, and a position for the class token, which timm adds to it.
    weights = {}
    own = (0.25 * torch.randn(1, 1, 16)).half().float()
    for name, value in backbone.state_dict().items():
        parts = name.split(".")
        if parts[0] == "blocks":
            parts.insert(1, str(int(parts[1]) // 2))
        weights["backbone." + ".".join(parts).replace("reg_token", "register_tokens")] = value
    weights["backbone.pos_embed"] = torch.cat([own, weights["backbone.pos_embed"]], dim=1)
    weights["backbone.cls_token"] = (weights["backbone.cls_token"] - own).half().float()
    with torch.no_grad():
        backbone.cls_token.copy_(weights["backbone.cls_token"] + own)
    weights["backbone.mask_token"] = torch.zeros(1, 16)
    weights |= {"linear_head.weight": head.weight, "linear_head.bias": head.bias}
    save("dinov2_repository", weights, image_cases(sizes, linear_head), facts)


def positions():
    """A table resampled as each library does it."""
    table = torch.randn(1, 25, 3)
    grid = table.reshape(1, 5, 5, 3).permute(0, 3, 1, 2)
    arrays = {"table": table}
    for rows, columns in [(3, 2), (5, 8), (7, 4)]:
        made = {
            "interpolated": F.interpolate(grid, size=(rows, columns), mode="bicubic"),
            "antialiased": F.interpolate(grid, size=(rows, columns), mode="bicubic", antialias=True),
            "offset": F.interpolate(grid, scale_factor=((rows + 0.1) / 5, (columns + 0.1) / 5), mode="bicubic"),
        }
        for name, value in made.items():
            assert value.shape[2:] == (rows, columns)
            arrays[f"{name}_{rows}x{columns}"] = value.permute(0, 2, 3, 1).reshape(1, -1, 3).contiguous()
    save_file(arrays, "Tests/ArchitecturesTests/Fixtures/positions.safetensors")


shutil.rmtree(ROOT, ignore_errors=True)
bert()
huggingface_vision()
timm_vision()
positions()
other_texts()  # last, so that the others keep their numbers
