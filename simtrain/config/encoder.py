"""Configuration of encoders: network, weights, preprocessing, low-rank factors."""

from typing import Annotated, Literal

from pydantic import Field, field_validator
from typing_extensions import override

from simtrain.config.named_code import NamedCode
from simtrain.config.section import Section

Resize = Literal["pad", "crop", "squash"]
Normalisation = Literal["imagenet", "unit_range"]
_Positive = Annotated[float, Field(gt=0)]
_TEXTS_STAY = "whitening moves images out of the space of their texts; set it to null"


class LoraConfig(Section):
    """Low-rank adaptation (https://arxiv.org/abs/2106.09685): the weights stay, small factors beside them learn."""

    rank: int = Field(default=8, ge=1, le=512)
    """Rank of the factors, 1 to 512."""

    alpha: float = Field(default=16.0, gt=0, le=1024)
    """The factors' product is added times `alpha` / `rank`; above 0 to 1024."""

    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the factors' inputs that is dropped in training, 0 to below 1."""

    targets: list[str] = Field(default_factory=list)
    """Linear layers of the network that get factors, by name, `*` for any part of it: `blocks.*.attn.qkv`; none named:
    every linear layer of the attention (`qkv`, `q_proj`, `k_proj`, `v_proj`)."""


class EncoderWhiteningConfig(Section):
    """Whitening of an encoder's embeddings, learned without labels from the training images at the evaluation size.

    A run learns it after training, for its best weights; the epoch is chosen without.
    """

    power: float = Field(default=0.5, ge=0, le=0.5)
    """Each axis of the covariance is divided by its variance to this power, 0 to 0.5: 0.5 whitens fully, 0.25 half,
    which finds the same product less well and the same kind better; 0 only subtracts the mean."""

    shrinkage: float = Field(default=0.1, ge=0, le=1)
    """Shrinkage of the variances towards their mean, 0 to 1; with few images 0 is worse than no whitening."""

    dimensions: Annotated[int, Field(ge=2, le=16384)] | None = None
    """Axes of largest variance that are kept, 2 to the embedding's own dimensions; null: all."""


class _EmbeddingConfig(Section):
    """What images go through to become embeddings in validation, evaluation, export and search, not in training."""

    flip_averaging: bool = False
    """Average the embeddings of an image and its mirror image, normalised to length 1; embedding takes twice the time.
    Leave it off where left and right distinguish products."""

    whitening: EncoderWhiteningConfig | None = None
    """Whiten the embeddings and normalise them to length 1; null: no whitening. Not for encoders that embed texts: the
    texts would not be whitened."""

    @property
    def trains(self) -> bool:
        """Whether there are weights to train."""
        return True


class _BaselineConfig(_EmbeddingConfig):
    @property
    @override
    def trains(self) -> bool:
        return False


class _NetworkConfig(_EmbeddingConfig):
    weights: str = "none"
    """Where the pretrained weights come from: `none` (random), a file (.pt, .pth, .ckpt, .safetensors),
    `package:MODULE/FILE` (a file inside an installed Python package), or a name that the encoder's own library knows:
    a torchvision weights enum such as `IMAGENET1K_V2` for `resnet`, `hub` for `timm`."""

    weights_match: Literal["name", "order"] = "name"
    """How the file's tensors are matched with the network's: by `name`, or by `order` where a port has renamed all;
    `order` still demands that number, sequence and shapes agree."""

    image_size: Annotated[int, Field(ge=32, le=1024)] | None = None
    """Side of the square input in pixels, 32 to 1024; null: the size that the weights were trained with."""

    evaluation_image_size: Annotated[int, Field(ge=32, le=1024)] | None = None
    """Side of the square in pixels, 32 to 1024, at which images are embedded in validation, evaluation, export and
    search, while training views have `image_size`: a network trained at 160 pixels embeds better at 224. Convolutional
    networks take any; of the vision transformers those that timm resamples the positions of. null: `image_size`."""

    resize: Resize = "pad"
    """How an image becomes a square: `pad` with white (keeps all of the product), centre `crop`, or `squash`."""

    pooling: Literal["default", "avg", "gem"] = "default"
    """How the last feature map of a convolutional network becomes a vector: `default` as the network does it, `avg` by
    the mean over all places, `gem` by the generalised mean of power 3 (https://arxiv.org/abs/1711.02512)."""

    embedding_size: Annotated[int, Field(ge=2, le=8192)] | None = None
    """Dimensions of the embedding, 2 to 8192, by a trained linear layer that is kept at export; null: the network's own
    pooled features."""

    lora: LoraConfig | None = None
    """Train low-rank factors beside the network's linear layers instead of the network (vision transformers); null:
    the network itself. Needs the extra `lora`."""


class ResNetConfig(_NetworkConfig):
    """A torchvision ResNet without its classifier."""

    kind: Literal["resnet"]
    """`resnet`"""

    model: Annotated[str, Field(pattern=r"^(resnet|resnext|wide_resnet)\d+\w*$")] = "resnet50"
    """A torchvision name: resnet18 to resnet152, resnext50_32x4d, wide_resnet50_2 …; or `resnet50x2` to `resnet152x8`,
    whose every layer is so many times as wide (Google's SimCLR)."""

    weights: str = "DEFAULT"
    """A torchvision weights enum (`DEFAULT` is the best it has for the model, others `IMAGENET1K_V1`, `IMAGENET1K_V2`;
    downloaded once), a file, `package:MODULE/FILE`, or `none` (random). By name, a file may be a SimCLR checkpoint of
    lightning-bolts, Google (converted), VISSL or lightly, one of MoCo or SimSiam, or in torchvision's own names."""

    normalisation: Normalisation | None = None
    """Normalisation of pixels: by the mean and deviation of `imagenet`, or in the `unit_range` from 0 to 1 without it;
    null: the one that the weights were trained with, if their file tells (Google's: `unit_range`), and `imagenet`
    without a file or with `weights_match: order`. A run keeps the normalisation that it started with."""


class TimmConfig(_NetworkConfig):
    """Any image model of timm without its classifier."""

    kind: Literal["timm"]
    """`timm`"""

    model: str
    """A name that `timm.list_models()` knows, with or without a weights tag."""

    weights: str = "hub"
    """`hub` (timm's own weights for the model, downloaded once), a file, `package:MODULE/FILE`, or `none` (random)."""


class PixelsConfig(_BaselineConfig):
    """Baseline without weights: the image's pixels themselves, centred."""

    kind: Literal["pixels"]
    """`pixels`"""

    image_size: int = Field(default=32, ge=4, le=256)
    """Side of the square in pixels, 4 to 256; the embedding has 3 · side² numbers."""

    resize: Resize = "pad"
    """How an image becomes a square: `pad` with white, centre `crop`, or `squash`."""


class HistogramConfig(_BaselineConfig):
    """Baseline without weights: a joint colour histogram, square-rooted (Hellinger kernel)."""

    kind: Literal["histogram"]
    """`histogram`"""

    space: Literal["lab", "hsv"] = "hsv"
    """Colour space of the bins: CIE `lab` (D65) or `hsv`."""

    bins: int = Field(default=8, ge=2, le=16)
    """Bins per channel, 2 to 16; the embedding has bins³ numbers."""

    image_size: int = Field(default=96, ge=8, le=512)
    """Side of the square in pixels, 8 to 512, whose pixels are counted."""

    resize: Resize = "squash"
    """How an image becomes a square; `squash` adds no white to the counts."""


class ClipConfig(_EmbeddingConfig):
    """An image-text model such as CLIP or SigLIP: images and texts in one space."""

    kind: Literal["clip"]
    """`clip`"""

    model: str = "clip-ViT-B-32"
    """A name that sentence-transformers knows (downloaded once), or a local folder of it or of transformers."""

    image_size: Annotated[int, Field(ge=32, le=1024)] | None = None
    """Side of the square input in pixels, 32 to 1024; null: the model's own, which is usually the only one it can
    read."""

    evaluation_image_size: Annotated[int, Field(ge=32, le=1024)] | None = None
    """Side of the square in pixels for evaluation, export and search; null, or the size that the model reads."""

    pooling: Literal["default"] = "default"
    """How the tokens of an image become a vector: as the model does it."""

    @field_validator("whitening")
    @classmethod
    def _texts_stay(cls, value: EncoderWhiteningConfig | None) -> EncoderWhiteningConfig | None:
        if value is not None:
            raise ValueError(_TEXTS_STAY)
        return value

    resize: Resize | None = None
    """How an image becomes a square: `pad` with white, centre `crop`, or `squash`; null: as the model's own image
    processor. With `pad`, plain sentence-transformers gives the exported model's vectors for square images only."""

    train_text: bool = False
    """Whether the text tower learns too: for objectives that read captions."""

    text_model: str | None = None
    """Another text tower for the same space, by name or folder, which is frozen: `clip-ViT-B-32-multilingual-v1` reads
    50 languages for `clip-ViT-B-32`. Its texts match as long as image embeddings drift little; null: the model's
    own."""

    freeze_patch_embedding: bool = False
    """Whether the layer that reads the pixels is frozen."""

    lora: LoraConfig | None = None
    """Train low-rank factors instead of the network, beside queries, keys and values of the image tower (of both with
    `train_text`) unless it names other layers; null: the network itself. Needs the extra `lora`."""


class TwoTowersConfig(Section):
    """An image encoder joined to a frozen text model by locked-text tuning.

    A new linear layer projects the images into the space of the texts.
    """

    kind: Literal["two_towers"]
    """`two_towers`"""

    image: Annotated[ResNetConfig | TimmConfig, Field(discriminator="kind")]
    """The image encoder; its `embedding_size` is the text model's."""

    text: str = "all-MiniLM-L6-v2"
    """The text model: a name that sentence-transformers knows (downloaded once), a local folder, or
    `package:MODULE/FOLDER` (a folder inside an installed Python package)."""

    scale: float = Field(default=20.0, ge=1, le=100)
    """Initial factor of the cosine similarities (the inverse temperature), 1 to 100."""

    @property
    def trains(self) -> bool:
        """Whether there are weights to train."""
        return True

    @field_validator("image")
    @classmethod
    def _texts_stay(cls, value: ResNetConfig | TimmConfig) -> ResNetConfig | TimmConfig:
        if value.whitening is not None:
            raise ValueError(f"whitening: {_TEXTS_STAY}")
        return value


class PythonEncoderConfig(_EmbeddingConfig, NamedCode):
    """A network of the user's own: a class or function that gives a `torch.nn.Module`.

    The module maps (N, 3, S, S) normalised images to (N, D) vectors. How images are prepared for it: as is set here;
    else as the module's attribute `preprocessing` says, a mapping with some of `image_size`, `resize`, `interpolation`,
    `mean` and `std`; else 224 pixels, `pad`, `bicubic` and the mean and deviation of ImageNet.
    """

    kind: Literal["python"]
    """`python`"""

    image_size: Annotated[int, Field(ge=4, le=1024)] | None = None
    """S, side of the square input in pixels, 4 to 1024; null: the module's own."""

    evaluation_image_size: Annotated[int, Field(ge=4, le=1024)] | None = None
    """Side of the square in pixels, 4 to 1024, at which images are embedded in validation, evaluation, export and
    search; null: `image_size`."""

    resize: Resize | None = None
    """How an image becomes a square: `pad` with white, centre `crop`, or `squash`; null: the module's own."""

    interpolation: Literal["bilinear", "bicubic"] | None = None
    """Resampling filter; null: the module's own."""

    mean: tuple[float, float, float] | None = None
    """Subtracted from each channel scaled to 0..1; null: the module's own."""

    std: tuple[_Positive, _Positive, _Positive] | None = None
    """Divides each channel after that, above 0; null: the module's own."""

    embedding_size: Annotated[int, Field(ge=2, le=8192)] | None = None
    """Dimensions of the embedding, 2 to 8192, by a trained linear layer that is kept at export; null: the module's own
    vectors."""


EncoderConfig = Annotated[
    ResNetConfig | TimmConfig | ClipConfig | TwoTowersConfig | PixelsConfig | HistogramConfig | PythonEncoderConfig,
    Field(discriminator="kind"),
]
