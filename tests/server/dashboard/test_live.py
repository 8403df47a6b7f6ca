"""News for open pages: an event at the start and after a change, and an end with the token."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dermafed.server.dashboard import live
from dermafed.server.dashboard.live import events
from dermafed.server.rounds.open_exchange import OpenExchange, save_exchange


def test_an_event_follows_each_change_until_the_caller_is_signed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(live, "_AGAIN_SECONDS", 10**9)
    run = tmp_path / "runs" / "0001-spring"
    run.mkdir(parents=True)
    signed_in = True

    async def listen() -> list[str]:
        nonlocal signed_in
        stream = events(tmp_path, lambda: signed_in)
        heard = [await anext(stream), await anext(stream)]
        later = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.1)
        assert not later.done()  # nothing has changed
        save_exchange(run, OpenExchange("train", 1))
        heard.append(await asyncio.wait_for(later, 5))
        signed_in = False
        return heard + [event async for event in stream]

    change = "event: change\ndata: {}\n\n"
    assert asyncio.run(listen()) == ["retry: 2000\n\n", change, change]
