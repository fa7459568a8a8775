"""Weights & Biases: files of its own, for `wandb sync`; with WANDB_MODE=online, its server."""

import hashlib
import os
from pathlib import Path

from mnist_exp.trackers.copies import RunCopy, numbers

_DEFAULTS = {"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}


class WandbTracker:
    """A project of W&B; offline, so without a login, unless WANDB_MODE says otherwise."""

    def __init__(self, project: str) -> None:
        os.environ.update(_DEFAULTS | os.environ)
        mode, folder = os.environ["WANDB_MODE"], Path(os.environ.get("WANDB_DIR", "."), "wandb")
        self.where, self._project = str(folder.absolute()) if mode == "offline" else mode, project

    def publish(self, copy: RunCopy) -> str:
        """Copies a run; gives its id."""
        import wandb

        run_id = hashlib.sha256(copy.identity.encode()).hexdigest()[:12]
        path, tags = copy.run.path, copy.tags()
        settings = wandb.Settings(
            console="off", symlink=False, disable_git=True, disable_code=True,
            x_disable_stats=True, x_disable_meta=True, x_save_requirements=False,
        )  # fmt: skip
        with wandb.init(
            project=self._project, id=run_id, name=path.name, group=tags.get("group"), job_type=tags["mode"],
            config=copy.parameters | {"tags": tags}, resume="allow", settings=settings,
        ) as run:  # fmt: skip
            for ended_s, row in copy.curves():
                run.log(numbers(row) | {"_timestamp": ended_s}, step=row.epoch)
            run.summary.update(copy.results)
            for name in copy.files:
                run.save(str((path / name).absolute()), base_path=str(path.absolute()), policy="now")
            run.finish(exit_code=0 if copy.is_completed else 1)
        return run_id
