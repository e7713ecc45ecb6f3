# The command on CPU, for any user: `docker build --tag nst-jax .`, and then, in a folder of pictures,
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD":/work nst-jax stylize photo.jpg painting.jpg -o out.png
# Compiled programs and fetched weights are in /cache; `-v nst-jax-cache:/cache` keeps them for the next start. With
# `--read-only` nothing is kept. `--build-arg EXTRAS=cuda13,dask` installs extras of pyproject.toml too.
FROM python:3.13-slim AS build
WORKDIR /source
COPY . .
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
ARG EXTRAS=
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    wheel=$(echo /wheels/*.whl) && python -m pip install --no-cache-dir "$wheel${EXTRAS:+[$EXTRAS]}"
RUN mkdir --mode 1777 /cache
ENV NST_JAX_CACHE=/cache
WORKDIR /work
ENTRYPOINT ["nst-jax"]
CMD ["--help"]
