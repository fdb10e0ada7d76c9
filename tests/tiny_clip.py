"""Tiny image-text models with a real tokenizer, made from configuration: nothing is downloaded."""

# Shapes: S = 64 pixels, D = 48.

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizer,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    SiglipProcessor,
)

SIZE = 64
DIMENSIONS = 48
CONTEXT = 77
_START, _END = "<|startoftext|>", "<|endoftext|>"
_SENTENCES = (
    "a photo of a red mug", "a photo of a blue chair on white", "the green lamp of glass", "a wooden table",
    "a pair of women's shoes in black", "a white dress for summer", "two yellow cups and a plate", "an orange vase",
    "a photo of a brown leather bag", "a small sofa, grey, for the living room",
)  # fmt: skip


def make_tiny_clip(folder: Path, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> Path:
    """A CLIP of 0.3 M parameters that `SentenceTransformer(folder)` opens.

    Args:
        folder: Is made.
        seed: Of its random weights.
        dtype: Of the weights on disk.
    """
    tokenizer = _tokenizer(folder, context=CONTEXT)
    tower = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
    start, end = tokenizer.convert_tokens_to_ids([_START, _END])
    config = CLIPConfig(
        text_config={
            **tower,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": CONTEXT,
            "bos_token_id": start,
            "eos_token_id": end,
            "pad_token_id": end,
        },
        vision_config={**tower, "image_size": SIZE, "patch_size": 16},
        projection_dim=DIMENSIONS,
    )
    torch.manual_seed(seed)
    CLIPModel(config).to(dtype).save_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE})
    CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def make_tiny_siglip(folder: Path, *, seed: int = 0) -> Path:
    """A SigLIP: squashed images, a bias beside the scale, texts padded to 64 tokens."""
    tokenizer = _tokenizer(folder, context=64)
    start, end = tokenizer.convert_tokens_to_ids([_START, _END])
    tower = {"hidden_size": DIMENSIONS, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = SiglipConfig(
        text_config={
            **tower,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 64,
            "projection_size": DIMENSIONS,
            "bos_token_id": start,
            "eos_token_id": end,
            "pad_token_id": end,
        },
        vision_config={**tower, "image_size": SIZE, "patch_size": 16},
    )
    torch.manual_seed(seed)
    SiglipModel(config).save_pretrained(folder)
    images = SiglipImageProcessor(size={"height": SIZE, "width": SIZE})
    SiglipProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def as_before_5_4(model: Path, folder: Path) -> Path:
    """The layout in which sentence-transformers has put its CLIPs on the hub: a folder within, old names, a pickle.

    Args:
        model: What `make_tiny_clip` made.
        folder: Is made.
    """
    inner = folder / "0_CLIPModel"
    inner.mkdir(parents=True)
    module = {"idx": 0, "name": "0", "path": inner.name, "type": "sentence_transformers.models.CLIPModel"}
    words = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    special = {"bos_token": _START, "eos_token": _END, "pad_token": _END, "unk_token": _END}
    old = {
        folder / "modules.json": [module],
        folder / "config_sentence_transformers.json": {"__version__": {"sentence_transformers": "2.0.0"}},
        inner / "vocab.json": words["vocab"],
        inner / "special_tokens_map.json": special,
        inner / "tokenizer_config.json": {**special, "model_max_length": CONTEXT, "tokenizer_class": "CLIPTokenizer"},
        inner / "preprocessor_config.json": {
            "feature_extractor_type": "CLIPFeatureExtractor",
            "size": SIZE,
            "crop_size": SIZE,
            "resample": 3,
            "do_resize": True,
            "do_center_crop": True,
            "do_normalize": True,
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711],
        },
    }
    for path, content in old.items():
        path.write_text(json.dumps(content), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in words["merges"])]
    (inner / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (inner / "config.json").write_bytes((model / "config.json").read_bytes())
    torch.save(load_file(model / "model.safetensors"), inner / "pytorch_model.bin")
    return folder


def _tokenizer(folder: Path, *, context: int) -> CLIPTokenizer:
    """CLIP's own kind: byte pairs that end words with `</w>`; the vocabulary is that of a few sentences."""
    trained = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    trained.normalizer = normalizers.Lowercase()
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    trainer = trainers.BpeTrainer(vocab_size=700, end_of_word_suffix="</w>", show_progress=False)
    trained.train_from_iterator(_SENTENCES, trainer)
    merges = [tuple(pair) for pair in json.loads(trained.to_str())["model"]["merges"]]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges), _START, _END]
    vocabulary = {word: place for place, word in enumerate(dict.fromkeys(words))}
    folder.mkdir(parents=True, exist_ok=True)
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=context)
