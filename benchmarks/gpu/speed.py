"""How fast? Engines take turns, run by run, so that clocks and heat are the same for all."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from aliaug_edge.profiling.latency import summarise

from .budget import Budget
from .runners import Runner, feeds_of, ours, torch_runner
from .settings import Settings
from .subjects import Subject

WARM = 3  # runs before the first that counts; CUDA graphs are captured in them
OPEN_S = 90.0
COMPILE_S = 120.0


def measure(
    budget: Budget, settings: Settings, subject: Subject, side: int, batch: int, seconds: float
) -> list[dict[str, Any]]:
    """One row per engine at this size and batch, from at most `seconds` of taking turns."""
    with contextlib.ExitStack() as stack:
        runners = _open_all(budget, settings, subject, side, batch, stack)
        times: dict[str, list[tuple[float, float | None]]] = {r.name: [] for r in runners}
        end = time.monotonic() + min(seconds, budget.left)
        for done in range(settings.rounds):
            if done and time.monotonic() > end:
                break
            for runner in runners:
                times[runner.name].append(runner.turn())
    return [_row(name, side, batch, turns) for name, turns in times.items() if turns]


def prompt_encoder(settings: Settings) -> dict[str, Any]:
    """What encoding a prompt costs where it is not cached, in ms: SD-Turbo's text encoder."""
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel

    width, layers = (32, 1) if settings.cpu else (1024, 23)
    config = CLIPTextConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=max(width // 64, 1),
        vocab_size=49408,
    )
    dtype = torch.float32 if settings.cpu else torch.float16
    with torch.device(settings.device):
        model = CLIPTextModel(config).eval().to(dtype)
        tokens = torch.zeros(1, 77, dtype=torch.long)
    with torch.no_grad():
        encode = lambda: model(tokens)[0].float().cpu()  # noqa: E731
        times = [_ms(encode) for _ in range(WARM + 10)][WARM:]
    return {"uncached_p50_ms": summarise(times).p50_ms, "cached_ms": 0.0}


def _open_all(
    budget: Budget,
    settings: Settings,
    subject: Subject,
    side: int,
    batch: int,
    stack: contextlib.ExitStack,
) -> list[Runner]:
    """What runs here, warm."""
    found = []
    own = feeds_of(subject.bundle, side, batch)
    where = f"at {side} x {side}, batch {batch}"

    def add(name: str, opened: Callable[[], Runner], seconds: float, needs: float = 0.0) -> None:
        runner = budget.attempt(f"{name} {where}", lambda: _warm(opened()), seconds, needs)
        if runner is not None:
            found.append(runner)

    if subject.generator is None:
        budget.leave_out(f"torch {where}", "torch or diffusers is not installed")
    else:
        forward = _half(settings, subject)
        add("torch-eager", lambda: torch_runner("torch-eager", settings, forward, own), OPEN_S)
    enter = stack.enter_context
    for name in settings.engines:
        add(name, lambda n=name: enter(ours(n, subject.bundle, side, batch)), OPEN_S)
    if subject.generator is not None and batch == 1:
        needs = 0.0 if settings.cpu else 60.0
        add("torch-compile", lambda: _compiled(settings, forward, own), COMPILE_S, needs)
    elif subject.generator is not None:
        budget.leave_out(f"torch-compile {where}", "it would be compiled for each shape")
    return found


_halved: dict[str, Callable[..., Any]] = {}


def _half(settings: Settings, subject: Subject) -> Callable[..., Any]:
    """Torch as it is fastest without compiling: FP16, channels last. Made once a subject."""
    import torch

    from . import models

    if subject.name not in _halved:
        generator = copy.deepcopy(subject.generator).half()
        generator = generator.to(settings.device, memory_format=torch.channels_last)
        _halved[subject.name] = lambda *t: models.run(generator, torch.float16, *t)
    return _halved[subject.name]


def _compiled(settings: Settings, forward: Callable[..., Any], own: Any) -> Runner:
    import torch

    kind = {"backend": "eager"} if settings.cpu else {"mode": "reduce-overhead"}
    compiled = torch.compile(forward, dynamic=False, **kind)
    return torch_runner("torch-compile", settings, compiled, own)


def _warm(runner: Runner) -> Runner:
    for _ in range(WARM):
        runner.turn()
    return runner


def _row(
    name: str, side: int, batch: int, turns: list[tuple[float, float | None]]
) -> dict[str, Any]:
    wall = summarise([ms for ms, _ in turns])
    inside = [ms for _, ms in turns if ms is not None]
    return {
        "engine": name,
        "side": side,
        "batch": batch,
        "wall": asdict(wall),
        "device": asdict(summarise(inside)) if inside else None,
        "images_per_s": round(1000 * batch / wall.mean_ms, 2),
    }


def _ms(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000
