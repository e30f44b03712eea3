"""Measure the liveness tests: false alarms on real people, misses on attacks, luck against the challenge.

Example: scripts/measure_liveness --json /tmp/liveness.json
"""

from __future__ import annotations

import csv
import json
import os
import random
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from liveness_measure import edits, guessing, sheets
from liveness_measure.rates import Tally
from liveness_measure.watching import Watcher, read, windows
from vouchbox.camera.source import Image
from vouchbox.vision.continuity import Continuity
from vouchbox.vision.geometry import SMALLEST_EYE_DISTANCE_PX, Geometry
from vouchbox.vision.observation import Observation

PARTS = ("bonafide", "videos", "sheets", "edits", "challenge")
FAIL = frozenset({"fail"})
SUCCESS = frozenset({"success"})
NOT_FAILED = frozenset({"success", "not-run"})
EDIT_SECONDS = 6.0
EDIT_HEIGHT_LIMIT = 720
FILM_SESSIONS = 4000
CLIP_SESSIONS_PER_SECOND = 3

Row = dict[str, str]
console = Console(stderr=True)


class Measurement:
    """All tallies, by group and name."""

    def __init__(self, data: Path, seed: int) -> None:
        self.data, self.seed = data, seed
        self.watcher = Watcher()
        self.tallies: dict[str, dict[str, Tally]] = {}
        with (data / "liveness.csv").open(newline="") as file:
            self.videos = [row for row in csv.DictReader(file) if row["kind"] == "video"]

    def count(self, group: str, name: str, answer: str, wrong: frozenset[str]) -> None:
        """Book one answer."""
        self.tallies.setdefault(group, {}).setdefault(name, Tally(wrong)).add(answer)

    def rows(self, label: str) -> list[Row]:
        """Videos of one label."""
        return [row for row in self.videos if row["label"] == label]

    def bonafide(self) -> None:
        """Windows of real people, and the clips they come from: a failed test is a false alarm."""
        self._videos("bonafide", "bona fide", FAIL)

    def attack_videos(self) -> None:
        """Recorded replays: what geometry and continuity alone let through."""
        self._videos("attack", "attack video", NOT_FAILED)

    def planar(self) -> None:
        """One frontal picture (or film) of each person on a sheet, in every handling."""
        for row in self._each(self._people(), "sheets"):
            pictures, seen, _ = self._pictures(self.data / row["path"], 2.0)
            frontal = [o for o in seen if o.face is not None]
            best = min(frontal, key=lambda o: abs(o.face.pose.yaw) + 0.5 * abs(o.face.pose.pitch))  # type: ignore[union-attr]
            face = best.face
            assert face is not None
            centre = (float(face.landmarks[:, 0].mean()), float(face.landmarks[:, 1].mean()))
            film = pictures[best.index :] + pictures[: best.index]
            for name, how in sheets.HANDLINGS.items():
                seed = zlib.crc32(f"{self.seed}{row['path']}{name}".encode())
                observed = self.watcher.frames(sheets.shown(film, centre, face.inter_eye_px, how, seed))
                self._geometry("planar attack: geometry", name, observed, SUCCESS)

    def edited(self) -> None:
        """Cuts, loops and stills made of clips of real people."""
        people = [r for r in self._people() if int(r["height"]) <= EDIT_HEIGHT_LIMIT]
        before: list[Image] = []
        for number, row in enumerate(self._each(people, "edits")):
            pictures, _, rate = self._pictures(self.data / row["path"], EDIT_SECONDS)
            clips = {
                "cut, 0.5 s left out": edits.cut(pictures, rate, 0.5),
                "cut, 2 s left out": edits.cut(pictures, rate, 2.0),
                "loop of 2 s": edits.looped(pictures, rate, 2.0),
                "loop of 2.7 s": edits.looped(pictures, rate, 2.7),
                "still picture": [pictures[0]] * round(EDIT_SECONDS * rate),
            }
            if before and before[0].shape == pictures[0].shape:
                clips["spliced with another person"] = edits.spliced(pictures, before)
            before = pictures
            for name, clip in clips.items():
                observed = self.watcher.frames(edits.replayed(clip, rate, edits.NOISE, number))
                self._continuity("edited clip", name, observed)
            for name, clip in {
                "loop of 2 s, injected bit by bit": clips["loop of 2 s"],
                "frozen for 1.2 s, injected": edits.frozen(pictures, rate, 1.2),
            }.items():
                self._continuity("edited clip", name, self.watcher.frames(edits.replayed(clip, rate, 0, 0)))

    def challenge(self) -> None:
        """Recordings against random prompts."""
        chance = random.Random(self.seed)
        long = [row for row in self.videos if float(row["frames"]) / max(float(row["fps"]), 1.0) >= 8.0]
        for row in self._each(long, "challenge"):
            seen = self.watcher.clip(self.data / row["path"])
            for _ in range(round(seen[-1].seconds * CLIP_SESSIONS_PER_SECOND)):
                status, all_three = guessing.against_clip(seen, chance)
                self.count("luck", "real clip, challenge", status, SUCCESS)
                together = "success" if all_three else "fail"
                self.count("luck", "real clip, challenge, geometry and continuity", together, SUCCESS)
        for _ in self._each(range(FILM_SESSIONS), "random film"):
            status = guessing.against_random_film(chance)
            self.count("luck", "film of random head movements, challenge", status, SUCCESS)
            status = guessing.against_recorded_session(chance)
            self.count("luck", "recording of another session, challenge", status, SUCCESS)

    def _videos(self, label: str, group: str, wrong: frozenset[str]) -> None:
        for row in self._each(self.rows(label), group):
            pieces = windows(self.watcher.clip(self.data / row["path"]))
            worst = {"geometry": "not-run", "continuity": "not-run"}
            order = ("fail", "success", "not-run")
            for piece in pieces:
                for test, answer in self._judge(group, "window of 7 s", piece, wrong).items():
                    worst[test] = min(worst[test], answer.split()[0], key=order.index)
            for test, answer in worst.items():
                self.count(f"{group}: {test}", "whole video", answer, wrong)

    def _judge(self, group: str, name: str, seen: list[Observation], wrong: frozenset[str]) -> dict[str, str]:
        answer = self._geometry(f"{group}: geometry", name, seen, wrong)
        return {"geometry": answer, "continuity": self._continuity(group, name, seen, wrong)}

    def _geometry(self, group: str, name: str, seen: list[Observation], wrong: frozenset[str]) -> str:
        geometry = Geometry()
        for o in seen:
            geometry.observe(o)
        answer = str(geometry.result().status)
        self.count(group, name, answer, wrong)
        return answer

    def _continuity(
        self, group: str, name: str, seen: list[Observation], wrong: frozenset[str] = NOT_FAILED
    ) -> str:
        continuity = Continuity()
        for o in seen:
            continuity.observe(o)
        result = continuity.result()
        lost = str(result.status) == "fail" and {str(r) for r in result.reasons} == {"track-lost"}
        answer = "lost" if lost else str(result.status)
        self.count(f"{group}: continuity", name, answer, wrong | {"lost"} if wrong is NOT_FAILED else wrong)
        return "not-run" if lost else answer

    def _people(self) -> list[Row]:
        """One bona fide clip a person, whose face is large enough to be judged."""
        rows: dict[str, Row] = {}
        for row in self.rows("bonafide"):
            rows.setdefault(row["person"], row)
        return [row for row in rows.values() if self._large(self.data / row["path"])]

    def _large(self, path: Path) -> bool:
        seen = self.watcher.frames(read(path, 12))
        sizes = [o.face.inter_eye_px for o in seen if o.face is not None]
        return bool(sizes) and float(np.median(sizes)) >= SMALLEST_EYE_DISTANCE_PX

    def _pictures(self, path: Path, seconds: float) -> tuple[list[Image], list[Observation], float]:
        frames = []
        for at, picture in read(path):
            if at > seconds:
                break
            frames.append((at, picture.copy()))
        rate = (len(frames) - 1) / max(frames[-1][0], 0.1)
        return [picture for _, picture in frames], self.watcher.frames(frames), rate

    @staticmethod
    def _each(things: Iterable, what: str, total: int | None = None) -> Iterator:  # type: ignore[type-arg]
        return iter(track(things, f"{what:12}", console=console, transient=True, total=total))


@click.command()
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="Only this; may be repeated.")
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--json", "target", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here."
)
def main(parts: tuple[str, ...], seed: int, target: Path | None) -> None:
    """Count false alarms and misses of the liveness tests, with 95 % Clopper-Pearson intervals.

    \b
    Example: scripts/measure_liveness --part sheets --json /tmp/sheets.json
    """
    data = Path(os.environ.get("VOUCHBOX_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    if not (data / "liveness.csv").is_file():
        raise click.ClickException(f"no clips at {data}: set VOUCHBOX_DATA to the folder with liveness.csv")
    measurement = Measurement(data, seed)
    run: dict[str, Callable[[], None]] = {
        "bonafide": measurement.bonafide,
        "videos": measurement.attack_videos,
        "sheets": measurement.planar,
        "edits": measurement.edited,
        "challenge": measurement.challenge,
    }
    for part in parts or PARTS:
        run[part]()
    figures = {
        group: {name: tally.numbers() for name, tally in names.items()}
        for group, names in measurement.tallies.items()
    }
    table = Table("group", "what", "wrong", "of", "rate", "95 % interval", "answers")
    for group, names in figures.items():
        for name, numbers in names.items():
            low, high = numbers["interval95"]  # type: ignore[misc]
            answers = ", ".join(f"{k} {v}" for k, v in numbers["answers"].items())  # type: ignore[attr-defined]
            rate = f"{100 * float(str(numbers['rate'])):.2f} %" if numbers["of"] else "-"
            table.add_row(
                group, name, str(numbers["wrong"]), str(numbers["of"]), rate,
                f"{100 * low:.2f} .. {100 * high:.2f} %", answers,
            )  # fmt: skip
    Console(width=170).print(table)
    if target is not None:
        target.write_text(json.dumps(figures, indent=1) + "\n")


main(prog_name="measure_liveness")
