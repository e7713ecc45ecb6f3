"""What a sweep's lanes share and what they do not: targets, weights and start images for any choice of lanes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P

from nst_jax.errors import InputError
from nst_jax.loss import conventions, objective
from nst_jax.loss.objective import LossWeights, Objective, Targets
from nst_jax.measures import measures
from nst_jax.measures.measures import Measures, Summary
from nst_jax.network.layers import LAYERS
from nst_jax.network.vgg import prepare
from nst_jax.pictures import images
from nst_jax.pictures.start import white_noise
from nst_jax.transfer.lanes import Lane

Array = jax.Array


class Problem:
    """The targets of a sweep, computed once for each picture, and objectives over them."""

    def __init__(
        self,
        params: Any,
        contents: Mapping[str, np.ndarray],
        styles: Mapping[str, np.ndarray],
        lanes: Sequence[Lane],
        *,
        pool: str = "avg",
        precision: str = "float32",
        init: str | np.ndarray | Mapping[str, np.ndarray] = "noise",
        noise: float = 1.0,
        tv: float = 0.0,
        convention: str = conventions.PAPER,
        ratio_size: int | None = None,
    ) -> None:
        """Represents all pictures.

        Args:
          params: parameters, as `weights.load` gives them.
          contents, styles: [height, width, 3] float32 RGB, 0..1, by the names that the lanes call them. All content
            pictures must have one size; style pictures may have any.
          lanes: all that will be asked for. A layer that any lane uses is in every lane, with weight zero where it is
            not wanted, so that one program serves all.
          init: "noise", "content", a picture, which is brought to the content's size, or one for each lane by its name.
          noise: standard deviation of white noise, in levels of 255.
          tv: the weight of total variation, in all lanes.
          convention: whose loss the lanes' α, β and layer weights are given for, out of `conventions.CONVENTIONS`.
          ratio_size: the longest side that α and β are given for; see `conventions.translated`.

        Raises:
          InputError: content pictures of different sizes.
        """
        self.content_layers = _union(dict(lane.content_layers) for lane in lanes if lane.alpha)
        self.style_layers = _union(dict(lane.style_layers) for lane in lanes if lane.beta)
        self._pool, self._precision, self._init, self._noise, self._tv = pool, precision, init, noise, tv
        self._convention, self._ratio_size = convention, ratio_size
        used = (*self.content_layers, *self.style_layers)
        contents = {lane.content: contents[lane.content] for lane in lanes}
        styles = {lane.style: styles[lane.style] for lane in lanes if lane.beta}
        sizes = {name: picture.shape for name, picture in contents.items()}
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{name} {shape[1]}x{shape[0]}" for name, shape in sizes.items())
            raise InputError(
                f"content pictures must have one size after --size, so that lanes can be batched: {listed}"
            )
        self.shape: tuple[int, ...] = next(iter(sizes.values()))
        self._contents = contents
        self._whole_params = params
        self._seen: dict[str | None, Summary] = {}  # None is for noise
        self._content_targets = {name: self._represent_content(picture) for name, picture in contents.items()}
        self._style_targets = {name: self._represent_style(picture) for name, picture in styles.items()}
        self._params = jax.device_put(prepare(params, used))

    def _represent_content(self, picture: np.ndarray) -> dict[str, Array]:
        if not self.content_layers:
            return {}
        return objective.content_targets(
            self._whole_params, picture[None], self.content_layers, pool=self._pool, precision=self._precision
        )

    def _represent_style(self, picture: np.ndarray) -> dict[str, Array]:
        if not self.style_layers:
            return {}
        return objective.style_targets(
            self._whole_params, picture[None], self.style_layers, pool=self._pool, precision=self._precision
        )

    def objective(self, lanes: Sequence[Lane]) -> Objective:
        """Equation 7 for these lanes, in this order; of the same shapes for any lanes as many."""
        some_style = next(iter(self._style_targets), "")  # a lane without style has weights zero; any target will do
        content = self._stacked(self._content_targets, [lane.content for lane in lanes])
        style = self._stacked(self._style_targets, [lane.style if lane.beta else some_style for lane in lanes])

        def column(values: Sequence[float]) -> Array:
            return jnp.asarray(np.asarray(values, np.float32))

        def weights(layers: Sequence[str], of_lanes: Sequence[dict[str, float]]) -> dict[str, Array]:
            return {layer: column([own.get(layer, 0.0) for own in of_lanes]) for layer in layers}

        loss_weights = LossWeights(
            alpha=column([lane.alpha for lane in lanes]),
            beta=column([lane.beta for lane in lanes]),
            content_layers=weights(self.content_layers, [dict(lane.content_layers) for lane in lanes]),
            style_layers=weights(self.style_layers, [dict(lane.style_layers) for lane in lanes]),
            tv=column([self._tv] * len(lanes)),
        )
        height, width = self.shape[:2]
        loss_weights = conventions.translated(loss_weights, self._convention, height, width, self._ratio_size)
        return Objective(self._params, Targets(content, style), loss_weights, self._pool, self._precision)

    def specs(self, goal: Objective) -> Objective:
        """How an objective is spread over the mesh axis "lanes": what belongs to a lane is, what they share is not."""

        def spec(tree: Any, spread: bool) -> Any:
            return jax.tree.map(lambda _: P("lanes") if spread else P(), tree)

        targets = Targets(
            spec(goal.targets.content, len(self._content_targets) > 1),
            spec(goal.targets.style, len(self._style_targets) > 1),
        )
        params, loss_weights = spec(goal.params, False), spec(goal.loss_weights, True)
        return replace(goal, params=params, targets=targets, loss_weights=loss_weights)

    def starts(self, lanes: Sequence[Lane]) -> Array:
        """The start images, [lanes, height, width, 3] float32."""
        return jnp.stack([self._start(lane) for lane in lanes])

    def _start(self, lane: Lane) -> Array:
        height, width = self.shape[:2]
        given = self._init[lane.name] if isinstance(self._init, Mapping) else self._init
        if isinstance(given, np.ndarray):
            return jnp.asarray(images.resize(given, height, width))
        if given == "content":
            return jnp.asarray(self._contents[lane.content])
        return white_noise(lane.seed, height, width, self._noise)

    def measure(self, lane: Lane, image: np.ndarray) -> Measures:
        """Measures a lane's picture, [height, width, 3] float32, by all of `style_layers`, whichever the lane has.

        The photograph counts for lanes with α, the painting for lanes with β; each is represented once.
        """
        content = self._see(lane.content) if lane.alpha else None
        style = (
            {layer: np.asarray(gram[0]) for layer, gram in self._style_targets[lane.style].items()}
            if lane.beta
            else None
        )
        return measures.compare(self._represent(image), self._see(None), content, style)

    def _see(self, name: str | None) -> Summary:
        if name not in self._seen:
            picture = measures.noise_reference(*self.shape[:2]) if name is None else self._contents[name]
            self._seen[name] = self._represent(picture)
        return self._seen[name]

    def _represent(self, picture: np.ndarray) -> Summary:
        # With the parameters of all layers: the lanes' may end before conv4_2.
        return measures.summarize(
            self._whole_params, picture, self.style_layers, pool=self._pool, precision=self._precision
        )

    @staticmethod
    def _stacked(targets: Mapping[str, dict[str, Array]], names: Sequence[str]) -> dict[str, Array]:
        """One target for each lane, or the only one there is for all, with a leading axis of length one."""
        if len(targets) <= 1:
            return next(iter(targets.values()), {})
        return jax.tree.map(lambda *parts: jnp.concatenate(parts), *(targets[name] for name in names))


def _union(of_lanes: Any) -> tuple[str, ...]:
    used = {layer for own in of_lanes for layer, weight in own.items() if weight}
    return tuple(sorted(used, key=LAYERS.index))
