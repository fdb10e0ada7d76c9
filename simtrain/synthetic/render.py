"""Rendering of one view of a product: perspective, painter's algorithm, soft light, shadow and camera flaws."""

# Shapes: F faces, S pixels along one side of the square image.

import cv2
import numpy as np
from numpy.typing import NDArray

from simtrain.synthetic.backdrops import Picture, draw_backdrop
from simtrain.synthetic.camera import Camera, fit_camera
from simtrain.synthetic.faces import Faces, product_faces
from simtrain.synthetic.products import SyntheticProduct
from simtrain.synthetic.scene import Light, Scene, catalogue_scene, free_scene
from simtrain.synthetic.shading import floor_shadow, shade_faces
from simtrain.synthetic.solids import Array, turned

SMALLEST, LARGEST = 32, 1024
_SCENE_STREAM, _PIXEL_STREAM = 100, 101
# Polygons are drawn at twice the size and averaged; their corners carry this many fractional bits.
_OVERSAMPLING, _FRACTION_BITS = 2, 4


def render_view(product: SyntheticProduct, *, view: int, size: int, seed: int) -> NDArray[np.uint8]:
    """A picture (S, S, 3) of a product, RGB.

    Args:
        product: Product to draw.
        view: 0 is the catalogue shot on white; 1 and up are snapshots. >= 0.
        size: S, 32..1024.
        seed: Together with the product and the view decides pose, light and backdrop; >= 0.

    Raises:
        ValueError: A number is out of its range.
    """
    if size < SMALLEST or size > LARGEST:
        raise ValueError(f"render_view: size is {size}; it must lie in {SMALLEST}..{LARGEST}")
    scene = view_scene(product, view=view, seed=seed)
    rng = np.random.default_rng(np.random.SeedSequence([seed, product.index, view, _PIXEL_STREAM]))
    faces = product_faces(product)
    turn = turned(np.eye(3), y=scene.pose.yaw)
    camera = fit_camera(faces.outline @ turn, pose=scene.pose, size=size)
    picture = draw_backdrop(scene.backdrop, camera=camera, size=size, rng=rng)
    # Cameras correct the white of the surroundings only in part.
    picture *= np.sqrt(np.asarray(scene.light.tint, dtype=np.float32))
    casters = [points @ turn for points in faces.casters]
    picture *= floor_shadow(casters, camera=camera, light=scene.light, darkness=scene.shadow, size=size)
    layer = _draw(faces, turn=turn, camera=camera, light=scene.light, size=size)
    return _develop(picture * (1.0 - layer[:, :, 3:] / 255.0) + layer[:, :, :3], scene=scene, rng=rng)


def view_scene(product: SyntheticProduct, *, view: int, seed: int) -> Scene:
    """Pose, light, backdrop and JPEG quality of one view.

    Raises:
        ValueError: `view` or `seed` is negative.
    """
    if view < 0:
        raise ValueError(f"view_scene: view is {view}; it must be at least 0")
    if seed < 0:
        raise ValueError(f"view_scene: seed is {seed}; it must be at least 0")
    rng = np.random.default_rng(np.random.SeedSequence([seed, product.index, view, _SCENE_STREAM]))
    return catalogue_scene(rng=rng) if view == 0 else free_scene(product.category, rng=rng)


def _draw(faces: Faces, *, turn: Array, camera: Camera, light: Light, size: int) -> Picture:
    """The product alone, far faces first: (S, S, 4) of colour times coverage, and coverage, 0..255."""
    toward_eye = turn @ camera.eye - faces.centers
    facing = np.flatnonzero(np.einsum("ij,ij->i", toward_eye, faces.normals) > 0.0)
    near = toward_eye[facing]
    distance = np.sqrt(np.einsum("ij,ij->i", near, near)) - faces.raised[facing]
    seen = facing[np.argsort(-distance, kind="stable")]
    colors = shade_faces(faces, seen=seen, turn=turn, eye=camera.eye, light=light)
    scale = _OVERSAMPLING * 2**_FRACTION_BITS
    # OpenCV's pixel (0, 0) is centred on the origin, ours on (0.5, 0.5).
    pixels = camera.project(faces.corners[seen].reshape(-1, 3) @ turn) * scale - 2 ** (_FRACTION_BITS - 1)
    polygons = np.rint(pixels).astype(np.int32).reshape(-1, 4, 2)
    side = size * _OVERSAMPLING
    canvas = np.zeros((side, side, 4), dtype=np.uint8)
    opaque = np.concatenate([colors, np.full((len(colors), 1), 255.0)], axis=1).tolist()
    for polygon, color in zip(polygons, opaque, strict=True):
        cv2.fillConvexPoly(canvas, polygon, color, cv2.LINE_8, _FRACTION_BITS)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)


def _develop(picture: Picture, *, scene: Scene, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Lens blur and sensor noise."""
    radius = scene.blur * len(picture)
    if radius > 0.25:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), radius), dtype=np.float32)
    picture = picture + rng.standard_normal(picture.shape, dtype=np.float32) * scene.noise
    return np.clip(picture, 0.0, 255.0).astype(np.uint8)
