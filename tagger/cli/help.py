"""The layout of help: options in groups, the most used first."""

import click

# The options of tagging by group; other commands use the same groups. Each option is in one.
GROUPS: dict[str, tuple[str, ...]] = {
    "Common options": (
        "dry_run", "min_conf", "report", "from", "track", "exclude", "output", "coords", "quiet",
        "verbose",
    ),
    "Input": (
        "recursive", "skip", "allow_empty", "since", "endpoint_url", "rescan", "thorough", "root",
        "samples",
    ),
    "Output": (
        "html", "thumbnails", "sidecar", "sidecar_name", "hard_links", "new_mtime", "ledger",
    ),
    "Places": (
        "at", "radius", "not", "licence", "shared", "pack", "own_places", "yes", "json",
    ),
    "Model": ("model", "without", "device", "batch_size", "workers"),
    "Sources of a position": (
        "pairs", "max_radius", "max_gap", "utc_offset", "time_zone", "clock_offset",
    ),
    "Nightly runs": (
        "limit", "max_time", "fail_over", "strict", "keep_reports", "report_news_only",
        "summary_json", "log_file",
    ),
    "Cluster": ("engine", "ray_address", "ray_gpus_per_worker", "ray_classifiers"),
    "Review page": ("address", "port", "browser"),
    "General": ("config", "version", "help"),
}  # fmt: skip


def long_name(option: click.Option) -> str:
    """The option's long name as Python writes it: ``min_conf``."""
    return max(option.opts, key=len).removeprefix("--").replace("-", "_")


class Grouped(click.Command):
    """A command whose help shows its options in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option)]
        by_name = {long_name(one): one.get_help_record(ctx) for one in options}
        grouped = {name for names in GROUPS.values() for name in names}
        others = tuple(name for name in by_name if name not in grouped)
        for group, names in (GROUPS | {"Other options": others}).items():
            if rows := [row for name in names if (row := by_name.get(name))]:
                with formatter.section(group):
                    formatter.write_dl(rows)
