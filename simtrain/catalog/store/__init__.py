"""The images again, decoded once and reduced: what training, evaluation and export read."""
