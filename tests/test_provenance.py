"""What a manifest holds of the machine and the environment, and how differences are named."""

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from mnist_exp.comparison.comparison import CompareOptions, examine
from mnist_exp.comparison.report import notes
from mnist_exp.config.parsing import parse_tree
from mnist_exp.runs import provenance
from mnist_exp.runs.provenance import Change, num_cores, num_threads
from mnist_exp.runs.records import EnvironmentRecord, Manifest, ResumeRecord
from tests.comparison.run_makers import make_config, make_manifest, make_run

HERE = EnvironmentRecord(variables={}, processor="One", vector_extensions=["avx", "avx2", "fma"])
WITHOUT_ONEDNN = replace(HERE, variables={"TF_ENABLE_ONEDNN_OPTS": "0"})


def manifest(environment: EnvironmentRecord | None, **changes: object) -> Manifest:
    return make_manifest("a", 0, environment=environment, **changes)


DECIDING = (
    *("TF_ENABLE_ONEDNN_OPTS", "TF_DETERMINISTIC_OPS", "TF_NUM_INTRAOP_THREADS", "TF_CUDNN_DETERMINISTIC"),
    *("TF_XLA_FLAGS", "XLA_FLAGS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "TF_SET_ONEDNN_FPMATH_MODE"),
    *("ONEDNN_DEFAULT_FPMATH_MODE", "TF_DISABLE_JIT_KERNELS", "CUBLAS_WORKSPACE_CONFIG"),
)
OTHERS = (
    *("TF_VAR_password", "TF_VAR_XLA_FLAGS", "TF_TOKEN_app_terraform_io", "TF_CLI_ARGS_apply"),
    *("TF_HTTP_PASSWORD", "TF_CLOUD_TOKEN", "TF_API_KEY", "TF_CONFIG", "MY_XLA_FLAGS", "XLA_FLAGS_TOKEN"),
    *("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "WANDB_API_KEY", "PATH", "KERAS_BACKEND", "TF_ENCRYPTION"),
    "TF_CPP_MIN_LOG_LEVEL",
)


def test_variables_that_decide_bits_are_recorded_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DECIDING:
        monkeypatch.setenv(name, "1")
    for name in OTHERS:
        monkeypatch.setenv(name, "a secret")
    assert provenance.environment().variables == dict.fromkeys(DECIDING, "1")
    assert b"a secret" not in msgspec.json.encode(provenance.environment())


def test_the_processor_is_what_the_kernel_calls_it() -> None:
    found, kernel = provenance.environment(), Path("/proc/cpuinfo").read_text(encoding="utf-8")
    assert found.processor is None or found.processor in kernel
    assert set(found.vector_extensions) <= set(kernel.split())
    assert "smep" not in found.vector_extensions


def test_threads_are_those_that_tensorflow_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    assert num_threads(0) == num_cores()
    for text, expected in (("3", 3), ("0", num_cores()), ("many", num_cores()), ("-1", num_cores())):
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", text)
        assert num_threads(0) == expected
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    assert num_threads(2) == 2


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        (HERE, HERE, []),
        (WITHOUT_ONEDNN, HERE, ["TF_ENABLE_ONEDNN_OPTS 0 → unset"]),
        (HERE, WITHOUT_ONEDNN, ["TF_ENABLE_ONEDNN_OPTS unset → 0"]),
        (HERE, replace(HERE, processor="Two"), ["processor One → Two"]),
        (HERE, replace(HERE, vector_extensions=["avx"]), ["vector extensions avx2 fma → fewer"]),
        (HERE, replace(HERE, vector_extensions=["avx", "sve"]), ["vector extensions avx2 fma → sve"]),
        (HERE, replace(HERE, processor=None, vector_extensions=[]), []),
        (None, HERE, []),
        (None, WITHOUT_ONEDNN, ["TF_ENABLE_ONEDNN_OPTS unknown → 0"]),
        (HERE, replace(HERE, variables={"XLA_FLAGS": "a\n\x1b[31mb"}), ["XLA_FLAGS unset → a b"]),
    ],
)
def test_what_is_not_as_it_was_is_named_in_a_few_words(
    was: EnvironmentRecord | None, now: EnvironmentRecord, words: list[str]
) -> None:
    found = provenance.changes(manifest(was), manifest(now))
    assert [provenance.word(change) for change in found] == words


def test_a_resumed_run_may_have_had_several_environments() -> None:
    resumed = ResumeRecord(
        at="", epoch=1, epochs=2, versions={"mnist-exp": "0.1.0"}, environment=WITHOUT_ONEDNN
    )
    found = provenance.changes(manifest(HERE, resumed=[resumed]), manifest(HERE))
    assert found == [Change(what="TF_ENABLE_ONEDNN_OPTS", was="unset, then 0", now="unset")]


def test_a_manifest_from_before_it_was_recorded_is_read() -> None:
    fields = msgspec.to_builtins(manifest(HERE))
    for name in ("environment", "inter_op_threads", "not_drawn"):
        del fields[name]
    old = msgspec.convert(fields, Manifest)
    assert (old.environment, old.inter_op_threads, old.not_drawn) == (None, None, [])


def test_who_resumes_with_other_variables_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    own = replace(provenance.environment(), variables={})
    changes = provenance.changes_since(manifest(own, versions=provenance.versions()), threads=2, device="CPU")
    config = parse_tree(make_config({}))
    assert provenance.caveats(config, config.training.epochs, changes) == [
        "It was begun in a different environment (TF_ENABLE_ONEDNN_OPTS unset → 0): the last bits may differ."
    ]


def test_a_comparison_names_what_was_not_the_same_for_all_runs(tmp_path: Path) -> None:
    elsewhere = replace(WITHOUT_ONEDNN, processor="Two", vector_extensions=["avx"])
    for seed, environment in enumerate((HERE, elsewhere, None)):
        make_run(tmp_path, f"r{seed}", seed=seed, manifest={"environment": environment})
    (found,) = examine([tmp_path], CompareOptions()).sets
    (note,) = [note for note in notes(found, None, "test_accuracy") if "Not the same" in note]
    assert note == (
        "Not the same for all runs: TF_ENABLE_ONEDNN_OPTS (0 or unset), processor (One or Two), "
        "vector extensions (avx or avx avx2 fma). The same seed gives slightly different numbers."
    )
