"""Places at which trials are trained, and the files by which those elsewhere are told and reply."""

import os
import signal
from contextlib import closing
from pathlib import Path

import pytest

from mnist_exp.errors import RunError
from mnist_exp.processes.messages import (
    Alive,
    CheckNetworks,
    Ended,
    EpochEnded,
    Leave,
    Lost,
    NetworksChecked,
    RunTrial,
    Stop,
    read_request,
    to_line,
)
from mnist_exp.processes.places import LentPlace, LocalPlace, Mailbox
from tests.sweeps.sweeping import wait_for

TRIAL = RunTrial(
    name="3", trial=3, values={"model.dropout": 0.1, "training.batch_size": 64}, seeds=[7], epochs=2
)
REPLIES = "replies.jsonl"


@pytest.fixture
def place(tmp_path: Path) -> LentPlace:
    """A place elsewhere that has just come."""
    (tmp_path / "there_1_ab").mkdir()
    return LentPlace(tmp_path / "there_1_ab")


def there(place: LentPlace, tmp_path: Path) -> Mailbox:
    return Mailbox(tmp_path / place.name, REPLIES, "requests.jsonl")


def test_what_is_sent_arrives_once_whole_and_in_order(place: LentPlace, tmp_path: Path) -> None:
    other = there(place, tmp_path)
    place.send(TRIAL)
    place.send(Stop("3"))
    assert [read_request(line) for line in other.receive()] == [TRIAL, Stop("3")]
    assert other.receive() == []
    epoch = EpochEnded(epoch=1, epochs=2, score=0.5)
    line = to_line(epoch)
    other.send(line + line[:9])
    assert place.receive() == [epoch]
    other.send(line[9:] + to_line(Ended(resident_bytes=1)))
    assert place.receive() == [epoch, Ended(resident_bytes=1)]


def test_a_place_that_the_launcher_has_back_has_lost_its_trial(place: LentPlace, tmp_path: Path) -> None:
    place.send(TRIAL)
    assert place.receive() == []
    place.was_given_back = True
    (lost,) = place.receive()
    assert isinstance(lost, Lost) and place.is_lost
    assert [read_request(line) for line in there(place, tmp_path).receive()] == [TRIAL, Leave()]


def test_a_last_reply_counts_where_a_place_is_given_back_right_after_it(
    place: LentPlace, tmp_path: Path
) -> None:
    place.send(TRIAL)
    there(place, tmp_path).send(to_line(Ended(resident_bytes=1)))
    place.was_given_back = True
    assert place.receive() == [Ended(resident_bytes=1)]
    assert place.is_lost and place.num_ended == 1


def test_a_place_whose_folder_is_gone_is_told_nothing_and_says_nothing(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path / "gone", REPLIES, "requests.jsonl")
    mailbox.send(to_line(Alive()))
    assert mailbox.receive() == [] and not (tmp_path / "gone").exists()


@pytest.mark.slow
def test_a_worker_that_ends_is_replaced_until_three_have_ended_without_doing_anything() -> None:
    logged: list[str] = []
    with closing(LocalPlace("local1", logged.append)) as place:
        for _ in range(2):
            victim = place.child.pid
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda victim=victim: place.receive() == [] and place.child.pid != victim)
        place.send(CheckNetworks([]))
        assert wait_for(place.receive) == [NetworksChecked([])]
        os.kill(place.child.pid, signal.SIGKILL)
        with pytest.raises(RunError, match="workers do not start: the process was killed"):
            wait_for(place.receive)
