"""`mode=publish` to MLflow and W&B, read back as they do; `.ci/run` has an environment with both."""

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.comparison.run_makers import make_run, make_unfinished
from tests.conftest import Run as RunCommand
from tests.conftest import clean_environment
from tests.sweeps.sweeping import wait_for

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
IS_REQUIRED = os.environ.get("MNIST_EXP_TEST_TRACKERS") == "required"


def needs(package: str) -> pytest.MarkDecorator:
    """Skips unless a package is installed, or its absence is an error."""
    is_missing = find_spec(package) is None and not IS_REQUIRED
    return pytest.mark.skipif(is_missing, reason=f"{package} is installed by .ci/run in another environment")


# MLflow uses what SQLAlchemy is about to take away.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three runs of two configurations, one with more epochs than a request has room for."""
    make_run(tmp_path / "runs", "ann_0", seed=0, summary={"epochs": 300})
    make_run(tmp_path / "runs", "ann_1", seed=1)
    make_run(tmp_path / "runs", "dropout_0", config={"model.dropout": 0.25})
    (tmp_path / "runs/ann_0/report.html").write_text("<p>report</p>")
    return tmp_path


def publish(run_command: RunCommand, folder: Path, to: str, *more: str, **variables: str) -> str:
    asked = ("mode=publish", "runs=runs/*", f"publish.to={to}", *more)
    done = run_command(*asked, cwd=folder, cold=True, **variables)
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.split())  # long paths are wrapped


def copies(where: str) -> dict[str, Any]:
    """Reads an MLflow store: name to run."""
    from mlflow import MlflowClient

    client = MlflowClient(where)
    experiment = client.get_experiment_by_name("mnist-exp")
    found = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


@needs("mlflow")
def test_mlflow_has_each_run_once(folder: Path, run_command: RunCommand) -> None:
    from mlflow import MlflowClient

    said = publish(run_command, folder, "mlflow", "publish.files=[report.html,checkpoints/best.keras]")
    assert "3 runs published to mlflow: sqlite:///" in said and "runs/ann_1 has no report.html" in said
    where = f"sqlite:///{folder}/mlflow.db"
    found, client = copies(where), MlflowClient(where)
    assert found.keys() == {"ann_0", "ann_1", "dropout_0"}
    run = found["dropout_0"]
    assert (run.info.status, run.data.tags["group"], run.data.tags["seed"]) == (
        "FINISHED",
        "dropout=0.25",
        "0",
    )
    assert run.data.params["model.dropout"] == "0.25" and "tracker.name" not in run.data.params
    assert 0.5 < run.data.metrics["test_accuracy"] < 1 and run.data.metrics["best_val_accuracy"] == 0.98
    curve = client.get_metric_history(found["ann_0"].info.run_id, "loss")
    assert [(point.step, point.value) for point in curve] == [(n, 0.6 / n) for n in range(1, 301)]
    assert [file.path for file in client.list_artifacts(found["ann_0"].info.run_id)] == [
        "checkpoints",
        "report.html",
    ]
    assert "0 runs published" in publish(run_command, folder, "mlflow")
    for note in folder.glob("runs/*/published.json"):
        note.unlink()
    ids = {name: run.info.run_id for name, run in found.items()}
    publish(run_command, folder, "mlflow")
    assert {name: run.info.run_id for name, run in copies(where).items()} == ids


@needs("mlflow")
def test_a_copy_that_was_interrupted_is_made_anew(folder: Path, run_command: RunCommand) -> None:
    from mlflow import MlflowClient

    where = f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(where)
    experiment = client.create_experiment("mnist-exp", artifact_location=str(folder / "mlruns"))
    identity = "ann_0 2026-11-22T10:00:00.000Z"
    torn = client.create_run(experiment, tags={"mnist_exp.run": identity}, run_name="ann_0")
    make_unfinished(folder / "runs", "failed", "failed", "the loss is NaN")
    for _ in range(2):
        publish(run_command, folder, "mlflow", "publish.unfinished=true", MLFLOW_TRACKING_URI=where)
        run, failed = copies(where)["ann_0"], copies(where)["failed"]
        assert run.info.run_id != torn.info.run_id and run.info.status == "FINISHED"
        assert (failed.info.status, failed.data.tags["error"]) == ("FAILED", "the loss is NaN")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of an MLflow server of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = ("--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--workers", "1")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), *store]
    environment = clean_environment(MLFLOW_DISABLE_TELEMETRY="true")
    with (tmp_path / "server.log").open("w") as log:
        options: dict[str, Any] = {"stdout": log, "stderr": log, "cwd": tmp_path, "env": environment}
        process = subprocess.Popen(command, start_new_session=True, **options)
    address = f"http://127.0.0.1:{port}"
    wait_for(lambda: is_healthy(address), None)
    yield address
    os.killpg(process.pid, 15)
    process.wait(30)


def is_healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


@needs("mlflow")
@pytest.mark.skipif(CHROMIUM is None and not IS_REQUIRED, reason="no Chromium is installed")
def test_the_page_of_an_mlflow_server_shows_the_runs(
    server: str, folder: Path, run_command: RunCommand
) -> None:
    from playwright.sync_api import sync_playwright

    said = publish(run_command, folder, "mlflow", "publish.files=[report.html]", MLFLOW_TRACKING_URI=server)
    assert f"3 runs published to mlflow: {server}" in said
    experiment = copies(server)["ann_0"].info.experiment_id
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(f"{server}/#/experiments/{experiment}/runs", timeout=120_000)
        for name in ("ann_0", "ann_1", "dropout_0"):
            page.get_by_text(name, exact=True).first.wait_for(timeout=120_000)
        if picture := os.environ.get("MNIST_EXP_TEST_PICTURES"):
            page.screenshot(path=Path(picture, "mlflow.png"))
        browser.close()


@needs("mlflow")
def test_a_server_that_is_not_there_is_one_line(folder: Path, run_command: RunCommand) -> None:
    variables = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    asked = ("mode=publish", "runs=runs/*", "publish.to=mlflow")
    done = run_command(*asked, cwd=folder, cold=True, **variables)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "was not published to http://127.0.0.1:9" in done.stderr
    assert not list(folder.glob("runs/*/published.json"))


def wandb_records(path: Path) -> list[Any]:
    """Reads a W&B file: W&B's header, then LevelDB's log format, records of protobuf messages."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, whole, records = path.read_bytes(), 7, b"", []
    while place + 7 <= len(content):
        room = 2**15 - place % 2**15
        if room < 7:
            place += room
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            records.append(Record.FromString(whole))
            whole = b""
    return records


def item_key(item: Any) -> str:
    return item.key or ".".join(item.nested_key)


@needs("wandb")
def test_wandb_has_each_run_once_without_a_login(folder: Path, run_command: RunCommand) -> None:
    said = publish(run_command, folder, "wandb", "publish.files=[report.html]")
    assert f"3 runs published to wandb: {folder}/wandb" in said
    assert "0 runs published" in publish(run_command, folder, "wandb", "publish.files=[report.html]")
    found = {}
    for path in (folder / "wandb").glob("offline-run-*/*.wandb"):
        records = wandb_records(path)
        (run,) = (record.run for record in records if record.HasField("run"))
        found[run.display_name] = (run, records, path.parent)
    assert len(list((folder / "wandb").glob("offline-run-*"))) == len(found) == 3
    run, records, place = found["ann_0"]
    config = {item_key(item): item.value_json for item in run.config.update}
    assert (run.project, run.run_group) == ("mnist-exp", "dropout=0")
    assert (config["seed"], config["model.name"]) == ("0", '"ann"')
    steps = [
        {item_key(item): json.loads(item.value_json) for item in record.history.item}
        for record in records
        if record.HasField("history")
    ]
    assert [(step["_step"], step["loss"]) for step in steps] == [(n, 0.6 / n) for n in range(1, 301)]
    results = {
        item_key(item): item.value_json
        for record in records
        if record.HasField("summary")
        for item in record.summary.update
    }
    assert float(results["best_val_accuracy"]) == 0.98 and float(results["test_accuracy"]) > 0.5
    assert (place / "files/report.html").read_text() == "<p>report</p>"
