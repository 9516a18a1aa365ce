"""The edge half works where torch does not exist, and help is printed without loading anything.

`sys.modules[name] = None` makes every `import name` fail, as on a machine without it.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support.bundles import make_bundle

from aliaug_edge.engines.gpu import probe_gpus

TORCH_STACK = [
    "torch",
    "torchvision",
    "diffusers",
    "peft",
    "transformers",
    "accelerate",
    "safetensors",
    "tensorboard",
    "onnx",
    "onnxscript",
    "polygraphy",
    "scipy",
    "cv2",
]
TORCH_HALF = ("model", "training", "evaluation", "export")
SLOW_TO_IMPORT = ["numpy", "PIL", "onnxruntime", *TORCH_STACK]

# What a torch-free machine must be able to run, with the places of `places_in` filled in. Commands
# that need torch belong in NEEDS_TORCH: there they must fail with an install line and no traceback.
# Every command is in one of the three.
GENERATE = "generate {bundle} --images {images} -o {out} -n 2 --min-change 0 --min-preservation 0"
RUNS: list[list[str]] = [
    ["doctor"],
    ["doctor", "--json"],
    ["inspect", "{bundle}"],
    GENERATE.split(),
    [*GENERATE.split(), "--json"],
    ["profile", "{bundle}", "--iterations", "3", "--warmup-ms", "0", "--json"],
    ["report", "--bundle", "{bundle}", "-o", "{out}/report.html"],
    ["data", "make", "{out}", "--defects", "2", "--good", "2", "--size", "64x64"],
    ["data", "check", "{data}"],
]
NEEDS_TORCH: list[list[str]] = [
    ["train", "{data}", "-o", "{out}"],
    ["pretrain", "-o", "{out}"],
    ["export", "{data}", "-o", "{out}"],
    ["judge", "{bundle}"],
    ["evaluate", "{data}", "-o", "{out}"],
    ["study", "steps", "--data", "{data}", "-o", "{out}"],
]
# Needs no torch, but a GPU: elsewhere it says so before TensorRT is touched.
NEEDS_GPU: list[list[str]] = [["build", "{bundle}", "--dry-run"]]

BLOCK = f"""
import json, sys
for name in {TORCH_STACK}:
    sys.modules[name] = None
"""


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def ali_aug(*arguments: str) -> subprocess.CompletedProcess[str]:
    return python(BLOCK + "from aliaug_edge.cli import main\nmain()", *arguments)


def registered() -> list[str]:
    """Every command of `ali-aug`, groups included, e.g. "data check"."""
    from typer.main import get_command

    from aliaug_edge.cli.app import app

    def below(command: object, path: list[str]) -> list[str]:
        children = getattr(command, "commands", None)
        if children is None:
            return [" ".join(path)]
        return [name for key in sorted(children) for name in below(children[key], [*path, key])]

    return below(get_command(app), [])


def test_every_module_of_the_edge_half_imports_without_torch() -> None:
    code = f"""{BLOCK}
import importlib, pkgutil
import aliaug_edge
torch_half = tuple("aliaug_edge." + room for room in {TORCH_HALF})
broken, count = {{}}, 0
def visit(package):
    global count
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if (module.name + ".").startswith(tuple(room + "." for room in torch_half)):
            continue
        count += 1
        try:
            imported = importlib.import_module(module.name)
        except ImportError as error:
            broken[module.name] = str(error)
        else:
            if module.ispkg:
                visit(imported)
visit(aliaug_edge)
print(json.dumps([count, broken]))
"""
    result = python(code)
    assert result.returncode == 0, result.stderr
    count, broken = json.loads(result.stdout)
    assert count > 20
    assert broken == {}


def test_help_of_every_command_loads_neither_numpy_nor_a_runtime() -> None:
    code = f"""
import json, sys
from aliaug_edge.cli import main
failed = {{}}
for command in json.loads(sys.argv[1]):
    sys.argv = ["ali-aug", *command.split(), "--help"]
    try:
        main()
    except SystemExit as exit:
        if exit.code:
            failed[command] = exit.code
loaded = sorted(name for name in {SLOW_TO_IMPORT} if name in sys.modules)
print(json.dumps([failed, loaded]), file=sys.stderr)
"""
    result = python(code, json.dumps(["", *registered()]))
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stderr.splitlines()[-1]) == [{}, []]


def places_in(folder: Path) -> dict[str, Path]:
    """A bundle, photos of good parts, and a data set in MVTec's layout."""
    good = folder / "data" / "train" / "good"
    for name, colour in (("a", 90), ("b", 120), ("c", 150)):
        write_picture(good / f"{name}.png", np.full((96, 128), colour, np.uint8))
    mask = np.zeros((96, 128), np.uint8)
    mask[20:40, 30:60] = 255
    for number in range(4):
        photo = np.where(mask, 20 + number, 100).astype(np.uint8)
        write_picture(folder / "data" / "test" / "crack" / f"{number}.png", photo)
        write_picture(folder / "data" / "ground_truth" / "crack" / f"{number}_mask.png", mask)
    return {
        "bundle": make_bundle(folder / "bundle"),
        "images": good,
        "data": folder / "data",
        "out": folder / "out",
    }


def write_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("command", RUNS, ids=" ".join)
def test_a_command_of_the_edge_half_runs_without_torch(command: list[str], tmp_path: Path) -> None:
    places = places_in(tmp_path)
    result = ali_aug(*(argument.format(**places) for argument in command))
    assert result.returncode == 0, result.stderr
    assert result.stdout


@pytest.mark.parametrize("command", NEEDS_TORCH, ids=" ".join)
def test_a_command_that_needs_torch_says_how_to_get_it(command: list[str], tmp_path: Path) -> None:
    places = places_in(tmp_path)
    result = ali_aug(*(argument.format(**places) for argument in command))
    assert result.returncode == 1
    assert "pip install 'aliaug-edge[" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(probe_gpus().problem is None, reason="there is a GPU here")
@pytest.mark.parametrize("command", NEEDS_GPU, ids=" ".join)
def test_a_command_that_needs_a_gpu_says_so_in_one_line(command: list[str], tmp_path: Path) -> None:
    places = places_in(tmp_path)
    result = ali_aug(*(argument.format(**places) for argument in command))
    assert result.returncode == 1
    assert result.stderr.startswith("error: TensorRT cannot be used here: no NVIDIA driver")
    assert result.stderr.count("\n") == 1
    assert not (places["bundle"] / "engines").exists()


def test_every_command_is_known_to_run_without_torch_or_to_need_it() -> None:
    listed = (*RUNS, *NEEDS_TORCH, *NEEDS_GPU)
    known = {" ".join(words[:count]) for words in listed for count in (1, 2)}
    assert set(registered()) <= known


def test_an_engine_runs_a_bundle_without_torch(tmp_path: Path) -> None:
    code = f"""{BLOCK}
from pathlib import Path
import numpy as np
from aliaug_edge.bundle import load_bundle
from aliaug_edge.engines import open_engine
bundle = load_bundle(Path(sys.argv[1]))
with open_engine(bundle, engine="onnxruntime-cpu", size_hw=(64, 64), batch=1) as engine:
    feeds = {{spec.name: np.ones(spec.shape, spec.dtype) for spec in engine.inputs}}
    print(engine.infer(feeds)["generated"].shape)
"""
    result = python(code, make_bundle(tmp_path / "bundle"))
    assert result.stdout == "(1, 3, 64, 64)\n", result.stderr


def test_no_install_pulls_torch_or_both_onnxruntime_wheels_unasked() -> None:
    by_extra: dict[str, set[str]] = {}
    for line in importlib.metadata.requires("aliaug-edge") or []:
        name = re.match(r"[\w.-]+", line)
        extra = re.search(r"extra == ['\"](\w+)['\"]", line)
        assert name is not None
        by_extra.setdefault(extra[1] if extra else "core", set()).add(name[0])
    assert by_extra["core"] == {"numpy", "pillow", "typer"}
    for extra in ("core", "cpu", "cuda", "tensorrt"):
        assert not by_extra[extra] & set(TORCH_STACK)
    holders = {
        wheel: [extra for extra, names in by_extra.items() if wheel in names]
        for wheel in ("onnxruntime", "onnxruntime-gpu")
    }
    assert holders == {"onnxruntime": ["cpu"], "onnxruntime-gpu": ["cuda"]}
