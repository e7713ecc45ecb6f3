#!/bin/sh
# A sweep on all hosts of a TPU slice, by Google's XPK: `sh xpk.sh`. See docs/scale.md.
# Edit the lines that end in "# EDIT"; everything else may stay.
set -eu

PROJECT=my-project  # EDIT
ZONE=us-west4-a  # EDIT
CLUSTER=my-cluster  # EDIT: made by `xpk cluster create`
TPU=v5litepod-16  # EDIT: the slice; no more hosts than there are lanes
IMAGE=gcr.io/$PROJECT/nst_jax:tpu  # EDIT: an image in which `pip install ".[tpu]"` was run
STORAGE=shared  # EDIT: made by `xpk storage create` or `attach`: a Filestore with the pictures, mounted at /shared
RUN=/shared/runs/first  # EDIT: the run folder
SWEEP="/shared/photo.jpg /shared/painting.jpg --rows A,B,C,D,E --ratio 1e-5,1e-4,1e-3,1e-2 --size 512"  # EDIT

# One line on every host. After a failure XPK starts all of them again, and the run goes on from its checkpoints.
# `exec`, so that SIGTERM reaches the command.
xpk workload create --project="$PROJECT" --zone="$ZONE" --cluster="$CLUSTER" --workload=nst \
    --tpu-type="$TPU" --num-slices=1 --docker-image="$IMAGE" --storage="$STORAGE" \
    --max-restarts=10 --termination-grace-period-seconds=180 --env=NST_JAX_CACHE=/shared/cache \
    --command="if [ -f $RUN/run.json ]; then exec nst-jax resume $RUN --distributed; else \
exec nst-jax sweep $SWEEP -o $RUN --distributed; fi"
