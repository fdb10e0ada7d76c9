"""Peak memory and time of a training step against the batch and the micro-batch, and how far the gradients are apart.

Each line is measured in a process of its own, because a process never gives all of its peak back.
"""

import argparse
import multiprocessing
import resource
import time

import numpy as np
import torch
from numpy.typing import NDArray

from simtrain.builders.encoder import build_encoder
from simtrain.builders.objective import build_module
from simtrain.builders.training_inputs import TrainingInputs
from simtrain.config import parse_run_config
from simtrain.data.batch import Batch

_MEGABYTE = 1024  # ru_maxrss counts kilobytes


def measure(batch_size: int, micro: int | None, side: int, threads: int) -> tuple[float, float, NDArray[np.float32]]:
    """Peak megabytes above what the model takes, seconds, and the gradient of one SimCLR step."""
    torch.set_num_threads(threads)
    config = parse_run_config(
        {
            "catalog": "none",
            "encoder": {"kind": "resnet", "model": "resnet18", "weights": "none", "image_size": side},
            "objective": {"kind": "simclr"},
            "data": {"batch_size": batch_size, "micro_batch_size": micro},
        },
        where="bench",
    )
    torch.manual_seed(0)
    encoder = build_encoder(config.encoder, load=True)
    inputs = TrainingInputs(groups=0, duplicate_groups=torch.full((batch_size,), -1), reference=None)
    module = build_module(config, encoder=encoder, inputs=inputs, validation=None).train()
    views = torch.randint(0, 256, (batch_size, 2, side, side, 3), dtype=torch.uint8)
    rows = torch.arange(batch_size)[:, None].expand(batch_size, 2)
    batch = Batch(views=views, labels=torch.full((batch_size,), -1), rows=rows)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    module.loss(module.gather_batch(batch)).total.backward()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    gradients = [parameter.grad.flatten() for parameter in module.parameters() if parameter.grad is not None]
    return peak / _MEGABYTE, seconds, torch.cat(gradients).numpy()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--micro", type=int, default=32, help="images at once")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    print(f"ResNet-18, {arguments.side} px, SimCLR, two views of each image")
    print("images   micro-batch   peak MB   seconds   gradient difference / length")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for batch in arguments.batches:
            plain = None
            for micro in (None, arguments.micro):
                peak, seconds, gradient = pool.apply(measure, (batch, micro, arguments.side, arguments.threads))
                plain = gradient if plain is None else plain
                apart = float(np.linalg.norm(gradient - plain) / np.linalg.norm(plain))
                print(f"{2 * batch:6d}   {micro or '-':>11}   {peak:7.0f}   {seconds:7.1f}   {apart:.1e}", flush=True)


if __name__ == "__main__":
    main()
