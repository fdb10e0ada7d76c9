"""Light on faces and shadows on the floor."""

# Shapes: F faces, N points, S pixels along one side of the square image.

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from simtrain.synthetic.backdrops import Picture
from simtrain.synthetic.camera import Camera
from simtrain.synthetic.faces import Faces
from simtrain.synthetic.scene import Light
from simtrain.synthetic.solids import Array


def shade_faces(faces: Faces, *, seen: NDArray[np.int64], turn: Array, eye: Array, light: Light) -> Array:
    """Colours (F, 3), sRGB 0..255, of the faces whose indices are `seen`.

    Args:
        faces: Quadrilaterals of the product.
        seen: (F,) indices into `faces`.
        turn: (3, 3) by which points on the left are multiplied to stand as pictured.
        eye: (3,) position of the camera.
        light: Main light and the room's.
    """
    toward_light = np.asarray(light.direction)
    normals, centers = faces.normals[seen] @ turn, faces.centers[seen] @ turn
    toward_eye = _unit(eye - centers)
    # Wrapped Lambert: a big soft box lights a little beyond the terminator.
    diffuse = np.maximum(0.0, (normals @ toward_light + 0.25) / 1.25)
    room = light.ambient * (0.84 + 0.16 * normals[:, 1])
    height = centers[:, 1] / max(float(centers[:, 1].max()), 1e-9)
    grounded = 0.82 + 0.18 * np.minimum(1.0, height / 0.25)
    strength = (room + light.key * diffuse) * grounded + faces.glow[seen]
    half = _unit(toward_light + toward_eye)
    highlight = np.maximum(0.0, np.einsum("ij,ij->i", normals, half)) ** 32 * faces.gloss[seen] * light.key * 1.6
    mirrored = 2 * np.einsum("ij,ij->i", normals, toward_eye) * normals[:, 1] - toward_eye[:, 1]
    room_in_metal = 1.0 + 0.45 * np.sin(5.0 * mirrored + 0.6)
    strength = strength * (1.0 + faces.metal[seen] * (room_in_metal - 1.0))
    lit = faces.albedo[seen] * strength[:, None] * np.asarray(light.tint) + 255.0 * highlight[:, None]
    return np.asarray(np.clip(lit, 0.0, 255.0))


def floor_shadow(casters: Sequence[Array], *, camera: Camera, light: Light, darkness: float, size: int) -> Picture:
    """Factors (S, S, 1), 0..1, by which a product's shadow darkens the floor.

    Every part is replaced by the outline of its points (N, 3): soft shadows hide the difference.
    """
    cast, contact = np.zeros((size, size), dtype=np.uint8), np.zeros((size, size), dtype=np.uint8)
    side, high, front = light.direction
    # A low light would throw the shadow out of the picture; the room's light shortens it.
    slope = np.array([side, front]) / max(high, 0.6)
    for points in casters:
        fallen = points.copy()
        fallen[:, [0, 2]] -= points[:, 1:2] * slope * 0.75
        fallen[:, 1] = 0.0
        _fill_outline(cast, camera.project(fallen))
        touching = points[points[:, 1] < 0.06]
        if len(touching) >= 3:
            _fill_outline(contact, camera.project(touching * (1.0, 0.0, 1.0)))
    far = cv2.GaussianBlur(cast, (0, 0), size * 0.03).astype(np.float32)
    near = cv2.GaussianBlur(contact, (0, 0), size * 0.012).astype(np.float32)
    factor = (1.0 - far * (darkness / 255.0)) * (1.0 - near * (0.45 / 255.0))
    return np.asarray(factor[:, :, None], dtype=np.float32)


def _unit(vectors: Array) -> Array:
    """Vectors (F, 3) scaled to length 1."""
    return np.asarray(vectors / np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None])


def _fill_outline(mask: cv2.typing.MatLike, points: Array) -> None:
    limit = 4 * mask.shape[0]
    pixels = np.clip(np.rint(points), -limit, limit).astype(np.int32)
    cv2.fillConvexPoly(mask, cv2.convexHull(pixels), 255)
