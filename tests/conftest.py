"""No test looks anything up: set before any library reads it."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny networks: a second thread costs more than it gives
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
