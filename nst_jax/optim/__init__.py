"""Optimizers that are asked and told, and the loop; nothing here knows of style or content."""
