"""Facts that a run's configuration is proposed from: those of a catalogue and those of a machine."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CatalogFacts:
    """Facts of a catalogue; all but `images` are of its training images.

    Attributes:
        images: Number of images in all splits.
        train_images: Number of training images.
        products: Number of products with two images or more.
        lone_products: Number of products with one image.
        product_images: Number of images of the products with two or more.
        images_per_product: Median number of images of these products; 0 without any.
        labels: Number of labels.
        captions: Number of images with a caption.
        side: Median length of the shorter side of an image, in pixels.
    """

    images: int
    train_images: int
    products: int
    lone_products: int
    product_images: int
    images_per_product: int
    labels: int
    captions: int
    side: int


@dataclass(frozen=True, kw_only=True)
class MachineFacts:
    """Facts of a machine.

    Attributes:
        gpus: Number of GPUs that torch sees.
        gpu: Name of the first of them; empty without any.
        cores: Number of processor cores that this process may use.
        packaged_network: Whether the network whose weights come as a Python package is installed.
        packaged_texts: Whether the text model that comes as a Python package is installed.
    """

    gpus: int
    gpu: str
    cores: int
    packaged_network: bool
    packaged_texts: bool

    @property
    def words(self) -> str:
        """The machine in a few words, such as `2 cores, no GPU`."""
        cores = f"{self.cores} core{'' if self.cores == 1 else 's'}"
        if not self.gpus:
            return f"{cores}, no GPU"
        return f"{cores}, {self.gpus if self.gpus > 1 else 'a'} GPU{'s' if self.gpus > 1 else ''} ({self.gpu})"
