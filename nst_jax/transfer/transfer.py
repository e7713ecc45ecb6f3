"""Pictures and settings as problems, one at each scale: what `stylize`, `sweep` and `objective` have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax

from nst_jax.loss.objective import Term
from nst_jax.network.vgg import prepare
from nst_jax.optim.compiler import Compile, remembered
from nst_jax.optim.engine import Engine
from nst_jax.optim.first_order import FirstOrder, asked_and_told
from nst_jax.optim.lbfgs import LBFGS
from nst_jax.optim.loop import DEFAULT_OPTIMIZER, Optimizer
from nst_jax.pictures import images
from nst_jax.transfer import scales
from nst_jax.transfer.arguments import brought_to, mask, picture
from nst_jax.transfer.guides import check_masks
from nst_jax.transfer.lanes import Table, paintings
from nst_jax.transfer.problem import Problem, shape_of
from nst_jax.transfer.scales import Scale
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.starts import check_start
from nst_jax.weights import weights


def optimizer_of(settings: Settings) -> Optimizer:
    """Makes the optimizer that the settings ask for."""
    if settings.optimizer == "adam":
        return FirstOrder(optax.adam(settings.learning_rate))
    return LBFGS(history=settings.history, precondition=DEFAULT_OPTIMIZER.precondition)


def optimizer_key(settings: Settings) -> str:
    """Writes what `optimizer_of` depends on, as text that is the same in every process."""
    return f"{settings.optimizer} {settings.history} {settings.learning_rate}"


class Transfer:
    """A table's pictures at all of its scales.

    Attributes:
      table: at the finest scale.
      scales: coarsest first.
    """

    def __init__(
        self,
        params: Any,
        contents: Mapping[str, np.ndarray],
        styles: Mapping[str, Sequence[np.ndarray]],
        table: Table,
        *,
        count: int | None = None,
        start: np.ndarray | None = None,
        frozen: Any = None,
        keep: Any = None,
        masks: Mapping[str, Any] | None = None,
        optimizer: Optimizer | optax.GradientTransformation | None = None,
        terms: Sequence[Term] = (),
        compile: Compile | None = None,
        complete: bool = False,
    ) -> None:
        """Nothing is computed yet, but for the pictures' sizes.

        Args:
          params: parameters, as `load_weights` gives them; None for those that the settings name.
          contents: [height, width, 3] float32 RGB, 0..1, by the names that the lanes call them; brought to the
            settings' `size`.
          styles: likewise, each one or several to blend; brought to the size that the settings of lanes say.
          table: the lanes, and the settings that all share.
          count: how many scales; None for what `scales.pyramid` says.
          start: a picture to start from, [height, width, 3], of the content pictures' aspect; by default what the
            settings say.
          frozen: see `arguments.mask`; where it is white, pixels keep the start's value at each scale.
          keep: likewise; there they are the photograph's.
          masks: see `Problem`.
          optimizer: instead of the settings'.
          terms: of one's own, added to each lane's loss.
          compile: what compiles the loop.
          complete: see `Problem`.

        Raises:
          InputError: a start or mask that is not there or has another aspect, content pictures of different sizes, or
            scales that do not fit.
        """
        settings = table.settings
        check_start(settings, start)
        check_masks(settings, keep, masks)
        self.table, self._terms, self._masks = table, tuple(terms), masks
        self._complete = complete
        self._contents = {name: images.fit(picture, settings.size) for name, picture in contents.items()}
        self._styles = {
            key: [images.fit(one, side) for one in styles[name]] for key, (name, side) in paintings(table).items()
        }
        height, width = shape_of(self._contents)[:2]
        self._start = None if start is None else brought_to(picture(start, "start"), height, width, "start")
        self._frozen = None if frozen is None else mask(frozen, height, width, "frozen")
        self._keep = None if keep is None else mask(keep, height, width, "keep")
        self.scales = scales.pyramid(height, width, settings.evaluations, count)
        # What is of one's own has no key that another process could know it by.
        own = bool(self._terms) or optimizer is not None
        self._optimizer = asked_and_told(optimizer_of(settings) if optimizer is None else optimizer)
        self._key = None if own else optimizer_key(settings)
        self._compile = remembered if compile is None else compile
        # Last, when nothing else can be refused.
        self._params = weights.load(settings.weights) if params is None else params
        self._prepared: Any = None

    def problem(self, scale: Scale) -> Problem:
        """Makes the problem at one of the scales; `Problem.after` starts it from the one before."""
        if self._prepared is None:
            layers = {layer for lane in self.table.lanes for layer, _ in (*lane.content_layers, *lane.style_layers)}
            layers.update(layer for term in self._terms for layer in term.layers)
            self._prepared = jax.device_put(prepare(self._params, layers))
        finest = self.scales[-1]
        contents = {name: images.resize(one, scale.height, scale.width) for name, one in self._contents.items()}
        styles = {
            name: [scales.reduced(one, scale, finest) for one in several] for name, several in self._styles.items()
        }
        table = self.table._replace(settings=scales.settings_at(scale, finest, self.table.settings))
        return Problem(
            self._params,
            contents,
            styles,
            table,
            start=self._start,
            frozen=None if self._frozen is None else mask(self._frozen, scale.height, scale.width, "frozen"),
            kept=None if self._keep is None else mask(self._keep, scale.height, scale.width, "keep"),
            masks=self._masks,
            prepared=self._prepared,
            terms=self._terms,
            complete=self._complete,
        )

    def engine(self, problem: Problem, slots: int, strips: tuple[int, ...], **options: Any) -> Engine:
        """Makes an engine for one of the problems.

        Args:
          problem: from `problem`.
          slots: of the batch.
          strips: see `loss.strips.statistics`.
          **options: the engine's.

        Returns:
          The engine, which has not begun.
        """
        evaluations = problem.table.settings.evaluations
        return Engine(
            problem.cut(strips), self._optimizer, evaluations=evaluations, slots=slots, compile=self._compile,
            key=self._key, **options,
        )  # fmt: skip
