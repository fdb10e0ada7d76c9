"""A perspective camera that frames a product standing on the floor y = 0."""

# Shapes: N points, S pixels along one side of the square image.

from dataclasses import dataclass

import numpy as np

from simtrain.synthetic.solids import Array


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Turn, distance and position of a product in its image."""

    yaw: float
    """Turn of the product about the vertical, degrees; 0 shows its front."""
    pitch: float
    """How far the camera looks down, degrees, > 0."""
    roll: float
    """Tilt of the camera, degrees."""
    distance: float
    """Camera to product, in radii of the product's bounding sphere, > 1.5."""
    fill: float
    """Larger side of the product's outline over the image's side, 0..1."""
    shift: tuple[float, float]
    """Where the product sits in the free space right and down, -1..1, 0 is the middle."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Camera:
    """A camera fitted to one product and one image size."""

    eye: Array
    """(3,) position."""
    axes: Array
    """(3, 3) rows: right, up, towards the camera."""
    focal: float
    """Pixels."""
    center: tuple[float, float]
    """Principal point, pixels right and down."""

    def project(self, points: Array) -> Array:
        """Pixel coordinates (N, 2), right and down, of points (N, 3)."""
        seen = (points - self.eye) @ self.axes.T
        scale = self.focal / np.maximum(-seen[:, 2:], 1e-3)
        return np.asarray(seen[:, :2] * scale * (1, -1) + self.center)

    def rays(self, *, size: int) -> Array:
        """Directions (S, S, 3), not normalised, through the centres of the image's pixels."""
        column = (np.arange(size) + 0.5 - self.center[0]) / self.focal
        row = -(np.arange(size) + 0.5 - self.center[1]) / self.focal
        right, up, backward = self.axes
        return np.asarray(column[None, :, None] * right + row[:, None, None] * up - backward)


def fit_camera(points: Array, *, pose: Pose, size: int) -> Camera:
    """Aims a camera so that `points` (N, 3), already turned by the yaw, fill the asked share of a size x size image."""
    low, high = points.min(axis=0), points.max(axis=0)
    middle, radius = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    pitch, roll = np.radians(pose.pitch), np.radians(pose.roll)
    backward = np.array([0.0, np.sin(pitch), np.cos(pitch)])
    right, up = np.array([1.0, 0.0, 0.0]), np.array([0.0, np.cos(pitch), -np.sin(pitch)])
    axes = np.stack([
        right * np.cos(roll) + up * np.sin(roll), up * np.cos(roll) - right * np.sin(roll), backward
    ])  # fmt: skip
    eye = middle + backward * radius * pose.distance
    plain = Camera(eye=eye, axes=axes, focal=1.0, center=(0.0, 0.0)).project(points)
    low_2d, high_2d = plain.min(axis=0), plain.max(axis=0)
    focal = pose.fill * size / float((high_2d - low_2d).max())
    free = (size - (high_2d - low_2d) * focal) / 2
    center = size / 2 - (low_2d + high_2d) / 2 * focal + free * pose.shift
    return Camera(eye=eye, axes=axes, focal=focal, center=(float(center[0]), float(center[1])))
