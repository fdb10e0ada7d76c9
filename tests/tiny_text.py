"""Tiny text models of sentence-transformers, made from configuration: nothing is downloaded."""

# Shapes: W = 32 dimensions of a word, D of the embedding.

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

WORD_SIZE = 32
LONGEST = 24
_SPECIAL = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
_SENTENCES = (
    "a photo of a red mug", "a photo of a blue chair on white", "the green lamp of glass", "a wooden table",
    "a pair of women's shoes in black, size 38", "a white dress for summer", "two yellow cups and a plate",
    "یک لیوان قرمز", "eine rote Tasse", "une tasse rouge",
)  # fmt: skip


def make_tiny_text(folder: Path, *, seed: int = 0) -> Path:
    """A BERT of two layers whose words are averaged and normalised, as in MiniLM: D = W.

    Args:
        folder: Is made.
        seed: Of its random weights.
    """
    words, pooling = _bert(folder / "bert", seed=seed)
    return _saved(SentenceTransformer(modules=[words, pooling, Normalize()], device="cpu"), folder / "model")


def make_tiny_multilingual(folder: Path, *, size: int, seed: int = 0) -> Path:
    """With a linear layer from W to D = `size` and no normalisation, as `clip-ViT-B-32-multilingual-v1` has them."""
    words, pooling = _bert(folder / "bert", seed=seed)
    dense = Dense(WORD_SIZE, size, bias=False, activation_function=torch.nn.Identity())
    return _saved(SentenceTransformer(modules=[words, pooling, dense], device="cpu"), folder / "model")


def as_half(model: Path) -> Path:
    """The same folder with the weights of its words in bfloat16."""
    weights = load_file(model / "model.safetensors")
    save_file({name: value.bfloat16() for name, value in weights.items()}, model / "model.safetensors")
    for name in ("config.json", "sentence_bert_config.json"):
        values = json.loads((model / name).read_text(encoding="utf-8"))
        values.pop("model_kwargs", None)
        if name == "config.json":
            values["dtype"] = "bfloat16"
        (model / name).write_text(json.dumps(values), encoding="utf-8")
    return model


def _bert(folder: Path, *, seed: int) -> tuple[Transformer, Pooling]:
    tokenizer = _tokenizer()
    torch.manual_seed(seed)
    network = BertModel(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=WORD_SIZE,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=LONGEST,
            initializer_range=0.2,  # BERT's own 0.02 leaves so small a network with nearly equal sentences
        )
    )
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Transformer(str(folder)), Pooling(WORD_SIZE)


def _saved(model: SentenceTransformer, folder: Path) -> Path:
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    """Word pieces of a few sentences and every letter of them."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=list(_SPECIAL.values()), show_progress=False)
    tokenizer.train_from_iterator(_SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=LONGEST, **_SPECIAL)
