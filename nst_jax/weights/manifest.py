"""SHA256SUMS: the manifest of the files beside it, as the program sha256sum writes and checks it."""

from pathlib import Path

from nst_jax.errors import InputError
from nst_jax.pictures import files

MANIFEST = "SHA256SUMS"


def record(path: Path) -> None:
    """Writes a file's sha256 into the manifest beside it, whose other lines stay.

    Args:
      path: the file.
    """
    manifest = path.parent / MANIFEST
    sums = {**_sums(manifest), path.name: files.sha256(path)}
    with files.atomic(manifest) as temporary:
        temporary.write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())), "utf-8")


def check(path: Path, digest: str, required: bool) -> bool:
    """Compares a file with the manifest beside it.

    Args:
      path: the file.
      digest: its sha256, 64 hexadecimal digits.
      required: whether the manifest must speak of it.

    Returns:
      Whether the manifest speaks of it.

    Raises:
      InputError: the manifest says another sha256, or nothing where it must.
    """
    manifest = path.parent / MANIFEST
    expected = _sums(manifest).get(path.name)
    if expected is None and required:
        raise InputError(f"{path}: not in its manifest {manifest}; fetch or install it again")
    if expected not in (None, digest):
        raise InputError(f"{path}: sha256 is {digest}, but its manifest {manifest.name} says {expected}; it is damaged")
    return expected is not None


def _sums(manifest: Path) -> dict[str, str]:
    """File name -> sha256 from a file as sha256sum writes it; no file, no names."""
    if not manifest.is_file():
        return {}
    lines = (line.split(maxsplit=1) for line in manifest.read_text("utf-8", "replace").splitlines())
    return {fields[1].lstrip("*"): fields[0] for fields in lines if len(fields) == 2}
