"""`nst-jax weights compare`: what it prints, as JSON and for people."""

import json

import numpy as np
import pytest
from program import assert_refused, done, run

from nst_jax.cli.compare_command import problem_of
from nst_jax.network.layers import CONVOLUTIONS
from nst_jax.pictures import images
from nst_jax.transfer.settings import Settings


@pytest.mark.slow
def test_command(tmp_path, picture):
    for name in ("photograph", "painting"):
        images.write_image(tmp_path / f"{name}.png", picture(name, 32, 48))
    done("weights", "quantize", "vgg19", "-o", tmp_path / "few.h5", "--bits", 4)
    command = ["weights", "compare", tmp_path / "few.h5", "vgg19", "--size", 48]
    command += ["--content", tmp_path / "photograph.png", "--style", tmp_path / "painting.png"]
    report = json.loads(done(*command, "--evaluations", 12, "--json").out)
    assert list(report["activations"]) == list(CONVOLUTIONS)
    assert all(0 < relative < 1 for relative in report["activations"].values())
    assert set(report["gradients"]) == {"white noise", "the photograph", "vgg19's picture"}
    assert all(0.5 < found["cosine"] < 1 for found in report["gradients"].values())
    assert report["pictures"]["evaluations"] == 12
    assert 10 < report["pictures"]["psnr"] < 100
    lines = done(*command).out.splitlines()
    assert len(lines) == 1 + 16 + 1 + 2
    assert lines[1].split() == ["conv1_1", f"{report['activations']['conv1_1']:.3g}"]
    noise = report["gradients"]["white noise"]
    assert lines[-2].split() == ["white", "noise", f"{noise['relative']:.3g},", f"{noise['cosine']:.6f}"]


def test_command_on_shipped_samples_and_equal_weights():
    report = json.loads(done("weights", "compare", "vgg19", "vgg19", "--size", 48, "--json").out)
    assert set(report["activations"].values()) == {0.0}
    assert "pictures" not in report


def test_command_refuses(tmp_path):
    assert_refused(run("weights", "compare", "vgg19", tmp_path / "none.h5"), "none.h5", "no such file")
    outcome = run("weights", "compare", "vgg19", "vgg19", "--evaluations", 0)
    assert_refused(outcome, "--evaluations: 0", "at least 1")


def test_its_problem_is_one_lane_of_the_settings(params, picture):
    photo, painting = picture("photograph", 32, 48), picture("painting", 36, 40)
    made = problem_of(params, photo, painting, Settings(seed=3, noise=5.0, pool="max", padding="reflect"))
    assert len(made) == 1
    goal = made.objective([0])
    assert (goal.pool, goal.padding, float(goal.loss_weights.alpha[0])) == ("max", "reflect", np.float32(1e-3))
    assert made.starts([0]).shape == (1, 32, 48, 3)
