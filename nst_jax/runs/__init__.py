"""The run folder: checkpoints, resume, tables, contact sheet, page."""
