"""A Neural Algorithm of Artistic Style (Gatys, Ecker & Bethge, arXiv 1508.06576) as pure functions in JAX and Flax.

    import nst_jax as nst

    picture = nst.stylize(nst.read_image("photo.jpg"), nst.read_image("painting.jpg"), size=512)

The names below are what most people need; the rooms, `nst_jax.loss` and the others, have the rest. Everything loads
when it is first used: importing this package alone imports neither JAX nor anything else.
"""

TYPE_CHECKING = False  # but for type checkers; importing typing for it would take time

if TYPE_CHECKING:
    from nst_jax.errors import InputError as InputError
    from nst_jax.loss import Term as Term
    from nst_jax.network import features as features
    from nst_jax.optim import LBFGS as LBFGS
    from nst_jax.optim import Status as Status
    from nst_jax.pictures import fit as fit
    from nst_jax.pictures import read_image as read_image
    from nst_jax.pictures import white_noise as white_noise
    from nst_jax.pictures import write_image as write_image
    from nst_jax.runs import Grid as Grid
    from nst_jax.runs import resume as resume
    from nst_jax.runs import sweep as sweep
    from nst_jax.transfer import Region as Region
    from nst_jax.transfer import Settings as Settings
    from nst_jax.transfer import evaluate as evaluate
    from nst_jax.transfer import minimize as minimize
    from nst_jax.transfer import objective as objective
    from nst_jax.transfer import stylize as stylize
    from nst_jax.weights import load_weights as load_weights

__version__ = "0.2.0"


def lazily(package: str, file: str):
    """What a package needs to load its public names when they are first used, as PEP 562 has it.

    Args:
      package: the package's `__name__`.
      file: the package's `__file__`, whose imports for type checkers (`from MODULE import NAME as PUBLIC_NAME`) say
        which names it has, and from where.

    Returns:
      `__getattr__`, `__dir__` and `__all__` for the package.
    """
    with open(file, encoding="utf-8") as source:
        words = [line.split() for line in source if line.startswith("    from nst_jax")]
    names = {public: (module, own) for _, module, _, own, _, public in words}

    def get(name: str) -> object:
        from importlib import import_module  # noqa: PLC0415 (importing this package is to import nothing else)
        from importlib.util import find_spec  # noqa: PLC0415

        if name not in names:
            if not name.startswith("_") and find_spec(f"{package}.{name}"):  # a room or a module, such as `nst.loss`
                return import_module(f"{package}.{name}")
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, own = names[name]
        found = getattr(import_module(module), own)
        vars(import_module(package))[name] = found
        return found

    return get, lambda: sorted(names), sorted(names)


__getattr__, __dir__, __all__ = lazily(__name__, __file__)
