"""What version 0.1.0 made of its augmentation presets."""

import albumentations as A
import cv2


def first_format(preset: str, size: int) -> list[A.BasicTransform]:
    """What version 0.1.0 made of the three presets that it had."""
    if preset == "simclr":
        return [
            A.RandomResizedCrop(size=(size, size), scale=(0.08, 1.0)),
            A.HorizontalFlip(p=0.5),
            A.ColorJitter(brightness=(0.2, 1.8), contrast=(0.2, 1.8), saturation=(0.2, 1.8), hue=(-0.2, 0.2), p=0.8),
            A.ToGray(p=0.2),
            A.GaussianBlur(blur_limit=(max(3, size // 10 | 1),) * 2, sigma_limit=(0.1, 2.0), p=0.5),
        ]
    light = [A.RandomBrightnessContrast(brightness_limit=0.15, contrast_limit=0.15, p=0.8)]
    hues = [
        A.ColorJitter(brightness=(0.7, 1.3), contrast=(0.7, 1.3), saturation=(0.2, 1.8), hue=(-0.5, 0.5), p=0.8),
        A.ToGray(p=0.2),
    ]
    return [
        A.HorizontalFlip(p=0.5),
        A.Affine(
            rotate=(-15, 15),
            scale=(0.85, 1.15),
            translate_percent=(-0.1, 0.1),
            border_mode=cv2.BORDER_REPLICATE,
            p=0.7,
        ),
        A.RandomResizedCrop(size=(size, size), scale=(0.5, 1.0), ratio=(0.8, 1.25)),
        *(light if preset == "color_sensitive" else hues),
        A.CoarseDropout(num_holes_range=(1, 1), hole_height_range=(0.1, 0.35), hole_width_range=(0.1, 0.35), p=0.3),
    ]
