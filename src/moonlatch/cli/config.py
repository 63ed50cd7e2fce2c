"""`moonlatch config`: every setting with its value and where that came from."""

from __future__ import annotations

import json

from moonlatch.cli.output import DataFolder, Json, remark, show_table, shown, write_json


def config(data: DataFolder = None, as_json: Json = False) -> None:
    """Print every setting with its value and where it came from."""
    from moonlatch.config.loading import load_with_origins
    from moonlatch.config.reference import setting_values

    loaded = load_with_origins({"data_dir": data})
    values = [(path, value, loaded.origin(path)) for path, value in setting_values(loaded.settings)]
    if as_json:
        write_json([{"setting": path, "value": json.loads(value), "source": source} for path, value, source in values])
        return
    show_table(["setting", "value", "source"], [list(row) for row in values])
    there = "" if loaded.file.exists() else " (there is none)"
    remark(f"Settings file: {shown(loaded.file)}{there}", "dim")
