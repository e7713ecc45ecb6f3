"""Parameter files: load, verify, convert, fetch, normalize, quantize."""
