"""MLflow: runs in a database here, or on the server that MLFLOW_TRACKING_URI names."""

import os
from pathlib import Path

from mnist_exp.trackers.copies import RunCopy, numbers

_IDENTITY = "mnist_exp.run"
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # of 7, for minutes
}


class MlflowTracker:
    """An experiment of MLflow, made where it is missing; runs are called as their directories."""

    def __init__(self, project: str) -> None:
        os.environ.update(_DEFAULTS | os.environ)
        from mlflow import MlflowClient

        self.where = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').absolute()}"
        self._client, self._project = MlflowClient(self.where), project

    def publish(self, copy: RunCopy) -> str:
        """Copies a run, or only its files where the rest is there; gives its id."""
        found = self._client.get_experiment_by_name(self._project)
        experiment = found.experiment_id if found else self._client.create_experiment(self._project)
        same = f"tags.`{_IDENTITY}` = '{copy.identity}'"
        for run in self._client.search_runs([experiment], filter_string=same):
            if run.info.status == "FINISHED":
                return self._finish(run.info.run_id, copy)
            # Its copying was interrupted, or it had not been completed.
            self._client.delete_run(run.info.run_id)
        tags = copy.tags() | {_IDENTITY: copy.identity}
        began_ms = round(copy.times[0] * 1000)
        created = self._client.create_run(experiment, began_ms, tags, run_name=copy.run.path.name)
        self._log(created.info.run_id, copy)
        return self._finish(created.info.run_id, copy)

    def _log(self, run_id: str, copy: RunCopy) -> None:
        from mlflow.entities import Metric, Param

        points = [(ended_s, row.epoch, numbers(row)) for ended_s, row in copy.curves()]
        points.append((copy.times[1], 0, copy.results))
        metrics = [
            Metric(name, value, round(ended_s * 1000), step)
            for ended_s, step, values in points
            for name, value in values.items()
        ]
        params = [Param(name, str(value)) for name, value in copy.parameters.items()]
        self._client.log_batch(run_id, metrics, params)

    def _finish(self, run_id: str, copy: RunCopy) -> str:
        for name in copy.files:
            folder = None if Path(name).parent == Path() else str(Path(name).parent)
            self._client.log_artifact(run_id, str(copy.run.path / name), folder)
        status = "FINISHED" if copy.is_completed else "FAILED"
        self._client.set_terminated(run_id, status, round(copy.times[1] * 1000))
        return run_id
