"""docker/: what can be known of an image without building it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib")  # Python 3.11

ROOT = Path(__file__).parents[1]
DOCKERFILES = sorted((ROOT / "docker").glob("Dockerfile*"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

Instruction = tuple[str, str]


def instructions(path: Path) -> list[Instruction]:
    """(word, rest) of each instruction, comments left out and continued lines joined."""
    lines = path.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = text.replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.split(None, 1)[1]) for line in joined if line.strip()]


def defaults(path: Path) -> dict[str, str]:
    """The build arguments that have a default, and it."""
    arguments = [rest for word, rest in instructions(path) if word == "ARG" and "=" in rest]
    pairs = (shlex.split(argument)[0].partition("=") for argument in arguments)
    return {name: value for name, _, value in pairs}


@pytest.fixture(params=DOCKERFILES, ids=lambda path: path.name)
def dockerfile(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_there_is_one_for_the_datacenter_and_one_for_jetson() -> None:
    assert [path.name for path in DOCKERFILES] == ["Dockerfile", "Dockerfile.jetson"]


def test_what_is_copied_exists_and_gets_past_dockerignore(dockerfile: Path) -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [
        source
        for word, rest in instructions(dockerfile)
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignore, source


def test_what_the_wheel_is_built_from_is_copied(dockerfile: Path) -> None:
    text = dockerfile.read_text(encoding="utf-8")
    for name in ("pyproject.toml", "aliaug_edge", PROJECT["readme"], *PROJECT["license-files"]):
        assert name in text


def test_stages_that_are_copied_from_exist(dockerfile: Path) -> None:
    found = instructions(dockerfile)
    stages = {rest.split()[-1] for word, rest in found if word == "FROM" and " AS " in rest}
    used = {
        m[1] for word, rest in found if word == "COPY" and (m := re.match(r"--from=(\S+)", rest))
    }
    assert used and used <= stages


def test_nothing_is_fetched_by_add(dockerfile: Path) -> None:
    assert not [rest for word, rest in instructions(dockerfile) if word == "ADD"]
    assert "http" not in dockerfile.read_text(encoding="utf-8")


def test_extras_are_those_of_the_project_and_never_both_onnxruntimes(dockerfile: Path) -> None:
    extras = defaults(dockerfile)["EXTRAS"].split(",")
    assert set(extras) <= PROJECT["optional-dependencies"].keys()
    assert not {"cpu", "cuda"} <= set(extras)
    assert not {"train", "export", "dev"} & set(extras)


def test_pins_hold_what_is_installed(dockerfile: Path) -> None:
    """A constraint on a package that no extra asks for would hold nothing."""
    chosen = defaults(dockerfile)
    extras = PROJECT["optional-dependencies"]
    wanted = {
        re.split(r"[<>=~!\[; ]", line)[0]
        for extra in chosen["EXTRAS"].split(",")
        for line in extras[extra]
    }
    pinned = {pin.partition("==")[0] for pin in chosen["PINS"].split()}
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", pin) for pin in chosen["PINS"].split())
    assert wanted <= pinned
    assert pinned - wanted <= {"cuda-python"}  # beside apt's TensorRT it comes by name


def test_base_images_are_pinned_by_tag(dockerfile: Path) -> None:
    assert re.fullmatch(r"[\w./-]+:[\w.-]+", defaults(dockerfile)["IMAGE"])
    assert not defaults(dockerfile)["IMAGE"].endswith(":latest")


def test_the_user_is_not_root_and_the_entry_point_is_a_script_of_the_project(
    dockerfile: Path,
) -> None:
    last = dict(instructions(dockerfile))
    assert last["USER"] not in ("root", "0")
    assert last["ENTRYPOINT"] == '["ali-aug"]' and "ali-aug" in PROJECT["scripts"]


def test_no_layer_keeps_a_package_cache(dockerfile: Path) -> None:
    for word, rest in instructions(dockerfile):
        if word == "RUN" and "apt-get install" in rest:
            assert "rm -rf /var/lib/apt/lists" in rest and "--no-install-recommends" in rest
        for command in re.findall(r"pip (?:install|wheel)\b.*", rest):
            assert "--no-cache-dir" in command


def test_arguments_on_the_command_lines_of_the_readme_exist() -> None:
    text = (ROOT / "docker/README.md").read_text(encoding="utf-8")
    builds = [line for line in text.splitlines() if line.startswith("docker build")]
    assert builds
    for line in builds:
        words = shlex.split(line)
        path = ROOT / words[words.index("-f") + 1]
        given = [words[i + 1].partition("=")[0] for i, w in enumerate(words) if w == "--build-arg"]
        known = {rest.partition("=")[0] for word, rest in instructions(path) if word == "ARG"}
        assert set(given) <= known
        without = known - defaults(path).keys()
        assert without <= set(given), "arguments without a default must be given"
