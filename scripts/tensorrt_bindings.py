"""What TensorRT's Python bindings offer, version by version, read on a machine without a GPU.

    python scripts/tensorrt_bindings.py FOLDER [--renew]

The bindings are ordinary wheels. They need libraries that come from elsewhere, but for being
imported only a dozen of their functions have to exist: stubs made here with the C compiler. Nothing
of TensorRT is ever called. FOLDER keeps wheels, stubs and, per version, `VERSION.json`; `--renew`
also writes these into tests/engines/bindings, which the tests hold our code against.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SNAPSHOTS = ROOT / "tests/engines/bindings"


@dataclass(frozen=True)
class Version:
    """A version of the bindings: the wheel's package, the Python it is for, and its module, which
    is another one where it is the lean runtime."""

    number: str
    package: str
    python: str
    module: str = "tensorrt"

    @property
    def name(self) -> str:
        """ "10.16.1.11", "lean-10.16.1.11"."""
        return self.number if self.module == "tensorrt" else f"lean-{self.number}"


VERSIONS = (
    Version("8.6.1", "tensorrt-bindings", "3.10"),
    Version("10.3.0", "tensorrt-cu12-bindings", "3.10"),
    Version("10.13.3.9", "tensorrt-cu12-bindings", "3.11"),
    Version("10.16.1.11", "tensorrt-cu13-bindings", "3.11"),
    Version("11.4.0.106", "tensorrt-cu13-bindings", "3.11"),
    Version("10.16.1.11", "tensorrt-lean-cu13-bindings", "3.11", "tensorrt_lean"),
    Version("11.4.0.106", "tensorrt-lean-cu13-bindings", "3.11", "tensorrt_lean"),
)
PLATFORMS = ("manylinux_2_17_x86_64", "manylinux_2_28_x86_64", "manylinux_2_31_x86_64")
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser", "nvparsers", "nvinfer_lean")
FUNCTIONS = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "getBuilderPluginRegistry",
    "getPluginRegistry",
    "getNvOnnxParserVersion",
    "getInferLibVersion",
    "initLibNvInferPlugins",
    # 8.6 also binds its old parsers, whose functions are C++.
    "_ZN11nvuffparser15createUffParserEv",
    "_ZN11nvuffparser8FieldMapC1EPKcPKvNS_9FieldTypeEi",
    "_ZN14nvcaffeparser117createCaffeParserEv",
    "_ZN14nvcaffeparser123shutdownProtobufLibraryEv",
)
# Runs in the Python of the version: prints names and signatures as JSON. pybind11 writes a
# function's signature into the first lines of its docstring.
DUMP = r"""
import importlib, json, re, sys
trt = importlib.import_module(sys.argv[2])

FUNCTIONS = ("init_libnvinfer_plugins",)

def overloads(name, text):
    found = []
    for line in (text or "").splitlines():
        match = re.match(r"(?:\d+\. )?" + re.escape(name) + r"\((.*)\)(?: -> |$)", line.strip())
        if match and "*args" not in match[1]:
            found.append(parameters(match[1]))
    return found

def parameters(text):
    depth, parts = 0, [""]
    for letter in text:
        depth += (letter in "[(<") - (letter in "])>")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    named = [part.split(":")[0].split("=")[0].strip() + ("?" if "=" in part else "")
             for part in parts if part.strip()]
    return named[1:] if named[:1] == ["self"] else named

def describe(name, member):
    if isinstance(member, property):
        return "property"
    if callable(member):
        return overloads(name, member.__doc__) or "callable"
    return "value"

classes = {}
for name in sorted(dir(trt)):
    member = getattr(trt, name)
    if isinstance(member, type) and not name.startswith("_"):
        kept = [key for key in dir(member) if not key.startswith("_")] + ["__init__"]
        classes[name] = {key: describe(key, getattr(member, key)) for key in sorted(kept)}
wanted = set(sys.argv[1].split(","))
print(json.dumps({
    "version": trt.__version__,
    "names": sorted(n for n in dir(trt) if not n.startswith("_")),
    "classes": {n: c for n, c in classes.items() if n in wanted},
    "functions": {n: describe(n, getattr(trt, n)) for n in FUNCTIONS if hasattr(trt, n)},
}))
"""
# fmt: off
CLASSES = (
    "BuilderFlag", "Builder", "DataType", "Dims", "EngineInspector",
    "ExecutionContextAllocationStrategy", "IBuilderConfig", "ICudaEngine", "IExecutionContext",
    "IHostMemory", "ILayer", "ILogger", "INetworkDefinition", "IOptimizationProfile", "IProfiler",
    "IProgressMonitor", "ITensor", "ITimingCache", "LayerInformationFormat", "MemoryPoolType",
    "NetworkDefinitionCreationFlag", "OnnxParser", "OnnxParserFlag", "ParserError",
    "ProfilingVerbosity", "Runtime", "TensorIOMode",
)
# fmt: on


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--renew", action="store_true", help="write the tests' snapshots")
    asked = arguments.parse_args()
    for version in VERSIONS:
        reason = provide(version, asked.folder)
        if reason:
            print(f"{version.name}: left out, {reason}")
            continue
        made = asked.folder / f"{version.name}.json"
        print(f"{version.name}: {made}")
        if asked.renew:
            shutil.copyfile(made, SNAPSHOTS / made.name)


def provide(version: Version, folder: Path) -> str:
    """Write the version's snapshot into `folder`; why not, where that cannot be done."""
    python = interpreter(version.python)
    if python is None:
        return f"no Python {version.python} here"
    place = folder / version.name
    if not (place / f"{version.module}_bindings").is_dir():
        problem = download(version, place)
        if problem:
            return problem
    if shutil.which("cc") is None:
        return "no C compiler"
    make_stubs(place, version.number.split(".")[0])
    link = place / version.module
    if not link.exists():
        link.symlink_to(f"{version.module}_bindings")
    env = {**os.environ, "LD_LIBRARY_PATH": str(place), "PYTHONPATH": str(place)}
    command = [python, "-W", "ignore", "-c", DUMP, ",".join(CLASSES), version.module]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if ran.returncode:
        return f"it cannot be imported: {ran.stderr.strip().splitlines()[-1]}"
    (folder / f"{version.name}.json").write_text(pretty(ran.stdout), encoding="utf-8")
    return ""


def pretty(text: str) -> str:
    """One member per line, so that a renewed snapshot can be read as a diff."""
    return json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n"


def download(version: Version, place: Path) -> str:
    """Fetch and unpack the wheel; why not, where that fails."""
    wheels = place / "wheel"
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(wheels),
    ]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", version.python]
    command += [part for name in PLATFORMS for part in ("--platform", name)]
    command.append(f"{version.package}=={version.number}")
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        return f"its wheel cannot be fetched: {(ran.stderr.strip().splitlines() or ['?'])[-1]}"
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(place)
    return ""


def make_stubs(place: Path, major: str) -> None:
    """Libraries that have the functions' names and nothing else."""
    source = place / "stub.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in FUNCTIONS))
    for name in LIBRARIES:
        library = f"lib{name}.so.{major}"
        options = ["-shared", "-fPIC", "-w", f"-Wl,-soname,{library}"]
        subprocess.run(["cc", *options, "-o", place / library, source], check=True)


def interpreter(version: str) -> str | None:
    """A Python of that version which runs: ours, one on the path, or one of pyenv's."""
    pyenv = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    names = [sys.executable, shutil.which(f"python{version}") or ""]
    names += map(str, sorted(Path(pyenv).glob(f"versions/{version}.*/bin/python")))
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    for name in filter(None, names):
        ran = subprocess.run([name, "-c", ask], capture_output=True, text=True, check=False)
        if ran.stdout.strip() == version:
            return name
    return None


if __name__ == "__main__":
    main()
