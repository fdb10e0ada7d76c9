"""Views of a batch's pictures, made where the batch is: on a GPU in place of the loading processes.

They are the views of `transforms.PartViews` by the same draws, within a few levels: here a crop and a move are always
one resampling, hues are not rounded to 2 degrees, and values are rounded to whole levels once, at the end.
"""

# Shapes: B samples, V views of each, U pictures of each, H × W pixels of a picture, S = side, n views at once.

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from simtrain.data.view_colors import GREY, REACH
from simtrain.data.view_plans import CHANGES, KINDS, ViewPlan

_AT_ONCE = 2**24
"""Most numbers of pictures that are in memory as float32 at once: 64 MiB."""


@torch.no_grad()
def made_views(pictures: Tensor, plan: ViewPlan) -> Tensor:
    """(B, U, H, W, 3) uint8 RGB pictures -> (B, V, S, S, 3) uint8 RGB views.

    Args:
        pictures: The pictures of a batch.
        plan: What is made of them, on the same device.
    """
    samples, views = plan.picture.shape
    made = torch.empty(samples * views, plan.side, plan.side, 3, dtype=torch.uint8, device=pictures.device)
    first = torch.arange(samples, device=pictures.device)[:, None] * pictures.shape[1]
    number = (first + plan.picture).flatten()
    flat = plan.each(lambda tensor: tensor.flatten(0, 1))
    kinds, kind = torch.unique(plan.merged.flatten(0, 1), dim=0, return_inverse=True)  # on the host
    order = torch.argsort(kind, stable=True).to(pictures.device, non_blocking=True)
    alike = torch.split(order, torch.bincount(kind).tolist())
    at_once = max(1, _AT_ONCE // pictures[0, 0].numel())
    for (rows, columns), chosen in zip(kinds.tolist(), alike, strict=True):
        for places in torch.split(chosen, at_once):
            part = flat.each(partial(torch.index_select, dim=0, index=places))
            sources = pictures.flatten(0, 1)[number[places]].permute(0, 3, 1, 2).float()
            merged = F.avg_pool2d(sources, (rows, columns)) if rows * columns > 1 else sources
            levels = _with_holes(_blurred(_recolored(_sampled(merged, part), part), part), part)
            made[places] = levels.round().permute(0, 2, 3, 1).to(torch.uint8)
    return made.reshape(samples, views, *made.shape[1:])


def _sampled(pictures: Tensor, plan: ViewPlan) -> Tensor:
    """(n, 3, H, W) levels -> (n, 3, S, S), by linear interpolation."""
    side, (height, width) = plan.side, pictures.shape[2:]
    line = torch.arange(side, dtype=torch.float32, device=pictures.device)
    down, across = torch.meshgrid(line, line, indexing="ij")
    maps = plan.maps[:, None, None]  # no matrix product: TensorFloat-32 would move pixels
    places = maps[..., 0] * across[..., None] + maps[..., 1] * down[..., None] + maps[..., 2]
    least, largest = plan.box[:, None, None, :2], plan.box[:, None, None, 2:]
    inside = torch.minimum(torch.maximum(places, least), largest)
    beyond = (places - inside).abs()
    if plan.border == "reflect":
        inside = torch.where(plan.moved[:, None, None, None], _reflected(places, least, largest), inside)
    grid = (
        torch.stack([inside[..., 0] * (2 / max(width - 1, 1)), inside[..., 1] * (2 / max(height - 1, 1))], dim=-1) - 1
    )
    views = F.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=True)
    if plan.border not in ("white", "own_color"):
        return views
    shown = (1 - beyond).clamp(min=0).prod(dim=-1)[:, None]  # of the last pixel, as it fades into the border
    shown = torch.where(plan.moved[:, None, None, None], shown, torch.ones_like(shown))
    return shown * views + (1 - shown) * plan.filling[:, :, None, None]


def _reflected(places: Tensor, least: Tensor, largest: Tensor) -> Tensor:
    """Places beyond the box mirrored into it; its outermost pixels are not repeated."""
    length = (largest - least).clamp(min=1e-6)
    within = torch.remainder(places - least, 2 * length)
    return least + torch.minimum(within, 2 * length - within)


def _recolored(views: Tensor, plan: ViewPlan) -> Tensor:
    """(n, 3, S, S) levels after the changes of light and colour, 0..255."""
    views = _changed(views, plan.colors[:, 0])
    if plan.turns_hue:
        turned = (plan.hue != 0)[:, None, None, None]
        views = torch.where(turned, _turned(views, plan.hue), views)
    return _changed(views, plan.colors[:, 1])


def _changed(views: Tensor, changes: Tensor) -> Tensor:
    """(n, 3, S, S) after (n, K, 3) changes, which are one affine map of the three channels."""
    matrix = torch.eye(3, device=views.device).expand(len(views), 3, 3)
    offset = torch.zeros(len(views), 3, device=views.device)
    mean = views.mean(dim=(2, 3))
    for number in range(CHANGES):
        step, added = _step(changes[:, number], mean=torch.einsum("nij,nj->ni", matrix, mean) + offset)
        matrix = step @ matrix
        offset = torch.einsum("nij,nj->ni", step, offset) + added
    changed = torch.einsum("nij,njhw->nihw", matrix, views) + offset[:, :, None, None]
    return changed.clamp(0, 255)


def _step(change: Tensor, *, mean: Tensor) -> tuple[Tensor, Tensor]:
    """(n, 3, 3) and (n, 3) of one change, (n, 3), of views with the mean colours (n, 3); see `ColorChange`."""
    kind, amount, offset = change.unbind(dim=1)

    def among(*names: str) -> Tensor:
        return torch.stack([kind == KINDS.index(name) for name in names]).any(dim=0)

    kept = torch.where(among("none"), 1.0, torch.where(among("grey"), 0.0, amount))
    of_grey = torch.where(among("saturation", "grey"), 1 - kept, 0.0)
    row = torch.stack([of_grey * weight for weight in GREY.tolist()], dim=1)
    matrix = kept[:, None, None] * torch.eye(3, device=change.device) + row[:, None, :]
    grey = sum(weight * mean[:, channel] for channel, weight in enumerate(GREY.tolist()))
    added = torch.where(among("contrast"), (1 - amount) * grey, offset)
    return matrix, added[:, None].expand(-1, 3)


def _turned(views: Tensor, amount: Tensor) -> Tensor:
    """Every hue turned by shares (n,) of the circle, by way of HSV (Smith 1978, "Color gamut transform pairs")."""
    value, _ = views.max(dim=1)
    least, _ = views.min(dim=1)
    chroma = value - least
    red, green, blue = views.unbind(dim=1)
    safe = chroma.clamp(min=1e-6)
    sixth = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = sixth + 6 * amount[:, None, None]

    def channel(start: int) -> Tensor:
        place = torch.remainder(start + hue, 6)
        return value - chroma * torch.minimum(place, 4 - place).clamp(0, 1)

    return torch.stack([channel(5), channel(3), channel(1)], dim=1)


def _blurred(views: Tensor, plan: ViewPlan) -> Tensor:
    """(n, 3, S, S) after a Gaussian blur of each view's own width, rows and then columns."""
    if not plan.reach:
        return views
    reach = plan.reach
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32, device=views.device)
    deviation = plan.blur[:, None]
    window = (REACH * deviation).ceil().clamp(max=plan.widest_blur // 2)
    weights = torch.exp(-0.5 * (offsets / deviation.clamp(min=1e-3)) ** 2) * (offsets.abs() <= window)
    weights = (weights / weights.sum(dim=1, keepdim=True))[..., None, None, None]  # (n, 2·reach + 1, 1, 1, 1)
    return _window_sums(_window_sums(views, weights, reach=reach, axis=3), weights, reach=reach, axis=2)


def _window_sums(views: Tensor, weights: Tensor, *, reach: int, axis: int) -> Tensor:
    """Sums of neighbours along an axis, each by its weight of (n, 2·reach + 1, 1, 1, 1); mirrored at the edges."""
    beside = F.pad(views, (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach), mode="reflect")
    summed = torch.zeros_like(views)
    for step in range(2 * reach + 1):
        summed += weights[:, step] * beside.narrow(axis, step, views.shape[axis])
    return summed


def _with_holes(views: Tensor, plan: ViewPlan) -> Tensor:
    """(n, 3, S, S) with the black parts."""
    line = torch.arange(plan.side, device=views.device)
    top, left, bottom, right = (edge[:, None] for edge in plan.hole.unbind(dim=1))
    rows = (line >= top) & (line < bottom)
    columns = (line >= left) & (line < right)
    return views.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)
