"""Examples of keys whose name and limits do not say what one would write: as `--set` takes them."""

from simtrain.config.key_tree import SchemaKey
from simtrain.config.value_words import example

_BY_KEY = {
    "catalog": "data/catalog",
    "run": "first",
    "checkpoints": "/data/runs",
    "relevance": "[category, colour]",
    "relevance.same": "category",
    "relevance.other": "product",
    "relevance.qrels": "judged.csv",
    "relevance.by": "product",
    "init_from": "first",
    "encoder.weights": "weights/encoder.safetensors",
    "encoder.model": "resnet18",
    "image.weights": "weights/encoder.safetensors",
    "image.model": "resnet18",
    "encoder.text_model": "clip-ViT-B-32-multilingual-v1",
    "encoder.text": "models/text",
    "encoder.target": "mypackage.networks:Network",
    "encoder.mean": "[0.5, 0.5, 0.5]",
    "encoder.std": "[0.5, 0.5, 0.5]",
    "image_size": "224",
    "evaluation_image_size": "224",
    "embedding_size": "256",
    "whitening.dimensions": "256",
    "lora.targets": "[blocks.*.attn.qkv]",
    "teacher": "clip",
    "teacher_image_sizes": "[224, 320]",
    "neighbours_across": "[vendor]",
    "objective.levels": "[{column: label, weight: 0.1}]",
    "objective.levels.column": "label",
    "objective.label_column": "category",
    "objective.positive": "product",
    "objective.target": "mypackage.losses:Loss",
    "loss.name": "MultiSimilarityLoss",
    "miner.name": "MultiSimilarityMiner",
    "loss.parameters": "{alpha: 2, beta: 50}",
    "templates": "[a photo of a {colour} {category}]",
    "positives": "[text, product]",
    "max_similarity": "0.95",
    "weight_distance": "100000",
    "augmentation.rotation": "30",
    "augmentation.zoom": "0.3",
    "augmentation.shift": "0.2",
    "augmentation.crop": "0.5",
    "augmentation.cutout": "0.3",
    "augmentation.transforms": "[{name: HorizontalFlip, parameters: {p: 0.5}}]",
    "augmentation.transforms.name": "HorizontalFlip",
    "augmentation.transforms.parameters": "{p: 0.5}",
    "data.micro_batch_size": "32",
    "data.limit_batch_to": "category",
    "data.workers": "4",
    "optimizer.betas": "[0.9, 0.98]",
    "trainer.max_steps": "1000",
    "trainer.freeze": "[network.layer1.*]",
    "trainer.ema_decay": "0.999",
    "trainer.early_stopping_patience": "3",
    "trainer.strategy": "ddp_find_unused_parameters_true",
    "trainer.save_every_steps": "500",
    "further_relevance": "[kind]",
    "captions": "{title}",
    "label_templates": "[a photo of a {label}]",
    "exclude": "[vendor]",
    "confidence": "0.9",
    "wandb.project": "shop",
    "wandb.entity": "my-team",
    "wandb.tags": "[spring]",
    "export.index": "HNSW32",
    "export.index_memory_mib": "512",
    "columns.path": "image",
    "columns.id": "image_id",
    "columns.product": "sku",
    "columns.label": "category",
    "columns.caption": "title",
    "columns.split": "fold_name",
    "columns.query": "is_query",
    "columns.gallery": "is_gallery",
    "columns.group": "[family, session]",
    "root": "/data/photos",
    "table": "metadata.csv",
    "dialect.encoding": "cp1256",
    "dialect.separator": ";",
    "nothing": "[none, tbd]",
    "levels": "[split, label, product]",
    "product_pattern": r"([^/]+)_\d+\.jpg$",
    "split.folds": "5",
    "near_duplicates.encoder": "{kind: resnet, model: resnet18}",
    "workers": "4",
    "encoders": "[clip, resnet50]",
    "baseline": "clip",
    "category": "category",
}
"""Dotted name, or the end of one -> a value."""

_OF_COMPARE = {"relevance": "[product, kind]", "levels": "[product, [category, colour], category]"}


def example_of(key: SchemaKey, *, word: str) -> str | None:
    """A value for `--set KEY=`; None: a section, or keys of the user's own.

    Args:
        key: The key.
        word: The schema that it is of.
    """
    if word == "compare" and key.name in _OF_COMPARE:
        return _OF_COMPARE[key.name]
    parts = key.name.split(".")
    ends = (".".join(parts[start:]) for start in range(len(parts)))
    return next((_BY_KEY[end] for end in ends if end in _BY_KEY), None) or example(key.field)
