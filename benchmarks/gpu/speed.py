"""How fast? Engines take turns, run by run, so that clocks and heat are the same for all."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from aliaug_edge.profiling.latency import summarise

from .budget import Budget, said_by
from .runners import Runner, feeds_of, ours, torch_runner
from .settings import Settings
from .subjects import Subject

WARM = 3  # runs before the first that counts; CUDA graphs are captured in them
OPEN_S = 90.0
COMPILE_S, LEAST_COMPILE_S = 120.0, 45.0
TURN_S = 30.0

Turn = tuple[float, float | None]  # wall and device, ms
Close = Callable[[], None]
Opened = Callable[[contextlib.ExitStack], Runner]


def measure(
    budget: Budget,
    settings: Settings,
    subject: Subject,
    side: int,
    batch: int,
    seconds: float,
    keeps: float = 0.0,
) -> list[dict[str, Any]]:
    """One row per engine at this size and batch, from at most `seconds` of taking turns. An engine
    that fails, in whichever turn, has no row, and the others go on. What is compiled for it leaves
    those `seconds`, and `keeps` for what comes after."""
    where = f"at {side} x {side}, batch {batch}"
    opened = _open_all(budget, settings, subject, side, batch, where, seconds + keeps)
    times: dict[str, list[Turn]] = {name: [] for name in opened}
    whys: dict[str, str] = {}
    try:
        end = time.monotonic() + min(seconds, budget.left)
        for done in range(settings.rounds):
            if done and time.monotonic() > end:
                break
            for name, (runner, close) in list(opened.items()):
                turn = budget.attempt(f"{name} {where}", runner.turn, TURN_S)
                if turn is None:
                    del opened[name], times[name]
                    _close(budget, f"{name} {where}", close)
                else:
                    times[name].append(turn)
        whys = {name: runner.uncaptured() for name, (runner, _) in opened.items()}
    finally:
        for name, (_, close) in reversed(opened.items()):
            _close(budget, f"{name} {where}", close)
    return [
        {**_row(name, side, batch, turns), "uncaptured": whys[name]}
        for name, turns in times.items()
        if turns
    ]


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
    where: str,
    keeps: float,
) -> dict[str, tuple[Runner, Close]]:
    """What runs here by name, warm, and how it is closed. Compiling, which may take all of the time
    that there is, leaves `keeps` seconds."""
    found: dict[str, tuple[Runner, Close]] = {}
    own = budget.attempt(f"inputs {where}", lambda: feeds_of(subject.bundle, side, batch), OPEN_S)
    if own is None:
        return found

    def add(name: str, opened: Opened, seconds: float = OPEN_S, needs: float = 0.0) -> None:
        pair = budget.attempt(f"{name} {where}", lambda: _warm(opened), seconds, needs)
        if pair is not None:
            found[name] = pair

    forward = None
    if subject.generator is None:
        budget.leave_out(f"torch {where}", "torch or diffusers cannot be imported")
    else:
        forward = budget.attempt(f"torch {where}", lambda: _half(settings, subject), OPEN_S)
    if forward is not None:
        add("torch-eager", lambda _: torch_runner("torch-eager", settings, forward, own))
    for name in settings.engines:
        add(name, lambda stack, n=name: stack.enter_context(ours(n, subject.bundle, side, batch)))
    if forward is not None and batch == 1:
        needs = 0.0 if settings.cpu else keeps + LEAST_COMPILE_S
        limit = min(COMPILE_S, max(budget.left - keeps, LEAST_COMPILE_S))
        add("torch-compile", lambda _: _compiled(settings, forward, own), limit, needs)
    elif forward is not None:
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


def _warm(opened: Opened) -> tuple[Runner, Close]:
    """A runner after its first turns; what fails in them is closed at once."""
    with contextlib.ExitStack() as stack:
        runner = opened(stack)
        for _ in range(WARM):
            runner.turn()
        return runner, stack.pop_all().close


def _close(budget: Budget, what: str, close: Close) -> None:
    """Also when no time is left: the memory is for those that follow."""
    try:
        close()
    except Exception as error:  # what it measured stands
        budget.leave_out(f"closing {what}", said_by(error))


def _row(name: str, side: int, batch: int, turns: list[Turn]) -> dict[str, Any]:
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
