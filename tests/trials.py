"""Made-up trials of a search, for tests of what is drawn and computed from them."""

import numpy as np

from mnist_exp.runs.records import CandidateRecord, EpochMetrics, ErrorRecord, ExecutionRecord, TrialRecord
from mnist_exp.statistics import mean_interval


def make_trial(number, score, values, status="completed", num_epochs=3):
    rows = [
        EpochMetrics(
            epoch=epoch, loss=0.5, accuracy=0.9, val_loss=score + 0.2 / epoch,
            val_accuracy=score - 0.02 * (num_epochs - epoch), learning_rate=0.001, duration_s=0.1,
        )
        for epoch in range(1, num_epochs + 1)
    ]  # fmt: skip
    execution = ExecutionRecord(
        seed=1, score=score, best_epoch=num_epochs, train_s=1.0, compile_s=0.0, metrics=rows
    )
    failed = ErrorRecord(type="RunError", message="loss became nan", hint="") if status == "failed" else None
    started = f"2026-11-22T10:{number // 60:02d}:{number % 60:02d}"
    return TrialRecord(
        trial=number, status=status, score=score if status == "completed" else None, values=values,
        epochs=num_epochs, num_params=1000, started_at=f"{started}.000Z",
        finished_at=f"{started}.500Z", duration_s=0.5, worker="1",
        executions=[] if status == "failed" else [execution], error=failed,
    )  # fmt: skip


def make_candidate(name, search_score, scores, values=None):
    return CandidateRecord(
        candidate=name, values=values or {}, num_params=1000, search_score=search_score, search_interval=None,
        confirmed_scores=scores, confirmed_score=float(np.mean(scores)) if scores else None,
        confirmed_interval=mean_interval(scores), train_s=1.0,
    )  # fmt: skip


def study_values(generator):
    """One point of a space like the study's: lists of several lengths, a logarithmic range."""
    length = int(generator.integers(1, 5))
    values = {"model.units.length": length}
    for place in range(length):
        values[f"model.units.{place}"] = int(32 * generator.integers(1, 17))
        values[f"model.activation.{place}"] = str(generator.choice(["relu", "tanh", "sigmoid"]))
        values[f"model.dropout.{place}"] = round(0.1 * float(generator.integers(0, 6)), 1)
    values["optimizer"] = str(generator.choice(["adam", "rmsprop", "sgd"]))
    values["optimizer.learning_rate"] = float(10 ** generator.uniform(-4, -1))
    return values


def study(count, seed=0):
    """Trials of which some failed, one in ten is awful and the last was stopped."""
    generator = np.random.default_rng(seed)
    made = []
    for number in range(count):
        values = study_values(generator)
        score = 0.11 if number % 10 == 9 else 0.97 + 0.001 * generator.normal() - 0.01 * (number % 3 == 0)
        status = "failed" if number % 8 == 5 else "stopped" if 1 < count == number + 1 else "completed"
        made.append(make_trial(number, score, values, status))
    return made


def factors(count, seed=0):
    """Trials in which one factor decides everything, one a bit, and two nothing."""
    generator = np.random.default_rng(seed)
    made = []
    for number in range(count):
        values = {
            "nothing": float(generator.uniform()), "idle": str(generator.choice(["a", "b", "c"])),
            "a_bit": str(generator.choice(["x", "y", "z"])), "decides": int(generator.integers(0, 4)),
        }  # fmt: skip
        score = 0.9 + 0.02 * values["decides"] + 0.03 * (values["a_bit"] == "x") + 0.001 * generator.normal()
        made.append(make_trial(number, score, values))
    return made
