"""Search service over a bundle: JSON API and page."""
