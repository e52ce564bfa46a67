"""Measure what docs/performance.md claims, each figure against its rival in the same run."""

import json
import os
import platform
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import bench_sections
import click
import torch
from bench_gpu import gpu
from bench_library import bucket_library, heic_library, real_library
from bench_places import places
from bench_sections import CORES
from bench_sections import SECTIONS as FOR_ALL
from bench_table import places_table, put, sentence, table

from tagger.model.devices import fast_dtype

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = {"library": real_library, "heic": heic_library, "bucket": bucket_library}
SECTIONS = FOR_ALL | LIBRARIES | {"places": places, "gpu": gpu}
QUICK, QUICK_PHOTOS = ("starting", "writing", "pipeline"), 16
# Seconds after which no section starts; the longest takes the rest of 2 and 10 minutes.
QUICK_S, MOST_S = 60.0, 330.0


def machine() -> str:
    """The processor by name, how many cores, what it computes in, and the GPU if there is one."""
    try:
        machine_name = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        name = re.findall(r"model name\s*: (.+)", machine_name)[0]
    except (OSError, IndexError):
        name = platform.processor() or platform.machine()
    dtype = str(fast_dtype(torch.device("cpu"))).removeprefix("torch.")
    capability = torch.backends.cpu.get_cpu_capability()
    machine_name = f"{name}, {CORES} cores, {capability}, {dtype}, torch {torch.__version__}"
    return (
        f"{machine_name}, {torch.cuda.get_device_name()}"
        if torch.cuda.is_available()
        else machine_name
    )


def plot(figures: dict[str, Any], path: Path) -> None:
    """Photos per second, ours between its rivals and its ceilings."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = ["naive", "dataloader", "ours", "decode", "infer"]
    rates = [figures.get(f"{name}_photos_per_s", 0.0) for name in names]
    labels = ["naive loop", "DataLoader", "landmark-tag", "decoding only", "inference only"]
    figure, axes = pyplot.subplots(figsize=(7, 3), layout="constrained")
    bars = axes.barh(labels[::-1], rates[::-1], color=["#bbb", "#bbb", "#2a6fdb", "#999", "#999"])
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.set_xlabel(f"12-megapixel photos per second, {CORES} cores")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


@click.command()
@click.argument("sections", nargs=-1, type=click.Choice(list(SECTIONS)))
@click.option("--photos", default=104, show_default=True, help="Photos per measurement.")
@click.option(
    "--scratch",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder for the photos made; a memory file system takes the disk out of it.",
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Also write figures here."
)
@click.option("--plot", "plot_file", type=click.Path(path_type=Path), help="Also draw a PNG here.")
@click.option(
    "--update", is_flag=True, help="Write docs/benchmark.json and .png, the table and the README."
)
@click.option("--quick", is_flag=True, help="Two minutes: few photos, one round, no nightly run.")
def main(
    sections: tuple[str, ...],
    photos: int,
    scratch: Path | None,
    json_file: Path | None,
    plot_file: Path | None,
    update: bool,
    quick: bool,
) -> None:
    """Measure SECTIONS, all by default, in 10 minutes at most; skips what does not fit."""
    if quick and update:
        raise click.UsageError("--quick is too coarse for --update; leave one of them out")
    if quick:
        photos, bench_sections.PATIENCE = min(photos, QUICK_PHOTOS), 0.0
        sections = sections or QUICK
    end = time.monotonic() + (QUICK_S if quick else MOST_S)
    memory = Path("/dev/shm")
    root = scratch or (memory if memory.is_dir() else Path(tempfile.gettempdir()))
    kept = ROOT / "docs" / "benchmark.json"
    figures: dict[str, Any] = {"machine": machine()}
    if update and kept.exists():  # sections not measured now keep this machine's earlier figures
        older = json.loads(kept.read_text())
        figures |= older if older.get("machine") == figures["machine"] else {}
    click.echo(f"{figures['machine']}, photos in {root}, load {os.getloadavg()[0]:.1f}")
    for name in sections or SECTIONS:
        if time.monotonic() > end:
            click.echo(f"{name}: left out, time is up; measure it alone")
            continue
        with tempfile.TemporaryDirectory(dir=root) as folder:
            for key, value in SECTIONS[name](Path(folder), photos):
                figures[key] = round(value, 3)
                click.echo(f"{key:<28} {value:10.2f}")
    click.echo(f"\n{table(figures)}")
    if update:
        json_file, plot_file = json_file or kept, plot_file or kept.with_suffix(".png")
        put(ROOT / "docs" / "performance.md", table(figures))
        if words := places_table(figures):
            put(ROOT / "docs" / "scaling.md", words)
        if words := sentence(figures):
            put(ROOT / "README.md", words)
    if json_file:
        json_file.write_text(json.dumps(figures, indent=1) + "\n")
    if plot_file:
        plot(figures, plot_file)


if __name__ == "__main__":
    main()
