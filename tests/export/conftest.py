"""One trained micro run, traced once; every further bundle is made from the kept graphs.

Tracing takes half a minute, and what follows it a second: so the FP32 bundle is a real export from
end to end, and the others replay its graphs (`traced`), which a test may alter first.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest
import torch

from aliaug_edge.bundle import Bundle, load_bundle
from aliaug_edge.export import pipeline
from aliaug_edge.export.onnx import export_stage
from aliaug_edge.export.pipeline import ExportSettings, export
from aliaug_edge.export.sources import ExportSource, run_source
from aliaug_edge.export.stages import Stage
from aliaug_edge.training.config import TrainConfig
from aliaug_edge.training.trainer import train
from tests.support.bases import write_base, write_dataset

SIZES = ((64, 64), (64, 96))
Alter = Callable[[str, onnx.ModelProto], None]
Replay = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose adapters have moved visibly."""
    root = tmp_path_factory.mktemp("export")
    config = TrainConfig(
        data=str(write_dataset(root / "parts")),
        base=str(write_base(root / "micro")),
        steps=8,
        batch_size=2,
        size=64,
        precision="fp32",
        label_carrier="text",
        learning_rate=0.05,
        ema_decay=0.0,
    )
    return train(config, root / "run", progress=False)


@pytest.fixture(scope="session")
def source(run_dir: Path) -> ExportSource:
    return run_source(run_dir)


@pytest.fixture(scope="session")
def own_process(
    run_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """`ali-aug export` of the run, beside the export of this process: where it writes, and it."""
    out = tmp_path_factory.mktemp("own_process") / "fp32"
    code = "import torch; torch.set_num_threads(1); from aliaug_edge.cli import main; main()"
    words = ["export", str(run_dir), "-o", str(out), "--sizes", "64,64x96", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=pipe, stderr=pipe, text=True
    ) as process:
        yield out, process
        process.kill()


@pytest.fixture(scope="session")
def exported(
    run_dir: Path,
    own_process: tuple[Path, subprocess.Popen[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path, str]:
    """The FP32 bundle, the graphs as they were traced, and what the export said."""
    del own_process  # only has to be under way meanwhile
    root, said = tmp_path_factory.mktemp("bundles"), []
    traced = root / "traced"
    traced.mkdir()

    def keep(stage: Stage, multiple: int, path: Path, opset: int) -> object:
        spec = export_stage(stage, multiple, path, opset)
        onnx.save(onnx.load(path), traced / path.name)  # with its weights inside
        return spec

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "export_stage", keep)
        folder = export(str(run_dir), root / "fp32", ExportSettings(sizes=SIZES), say=said.append)
    return folder, traced, "\n".join(said)


@pytest.fixture(scope="session")
def fp32(exported: tuple[Path, Path, str]) -> Bundle:
    return load_bundle(exported[0])


@pytest.fixture(scope="session")
def replay(exported: tuple[Path, Path, str], run_dir: Path, fp32: Bundle) -> Replay:
    """`replay(out, precision, alter)`: export the run again from the traced graphs."""

    def again(out: Path, precision: str = "fp32", alter: Alter = lambda *_: None) -> Path:
        def copy(stage: Stage, multiple: int, path: Path, opset: int) -> object:
            del multiple, opset
            model = onnx.load(exported[1] / path.name)
            alter(stage.name, model)
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = f"{path.name}.data"  # as the exporter leaves them
            onnx.save(model, path, save_as_external_data=True, location=beside)
            return fp32.graphs[stage.name]

        settings = ExportSettings(precision=precision, sizes=SIZES)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pipeline, "export_stage", copy)
            return export(str(run_dir), out, settings, say=lambda _: None)

    return again


@pytest.fixture(scope="session")
def fp16(replay: Replay, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(replay(tmp_path_factory.mktemp("half") / "fp16", "fp16"))
