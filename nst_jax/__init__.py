"""A Neural Algorithm of Artistic Style (Gatys, Ecker & Bethge, arXiv 1508.06576) as pure functions in JAX and Flax.

Import what you need from the modules; README.md has a map of them and an example. Importing this package alone imports
neither JAX nor anything else.
"""

__version__ = "0.1.0"
