"""The data client against a real subprocess that speaks the protocol."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.tui import fake_data_worker
from trainer.errors import UserError
from tui.data_answers import Progress
from tui.data_client import CancelledError, DataClient, Indexed
from tui.worker_process import RefusedError

COMMAND = (sys.executable, fake_data_worker.__file__)
RECIPE = {"model": {"model_name_or_path": "demo"}, "data": {"cutoff_len": 512}, "method": {"stage": "sft"}}


@pytest.fixture
def client() -> Iterator[DataClient]:
    client = DataClient(COMMAND)
    yield client
    client.worker.close()


def test_the_registered_sets_come_with_what_speaks_against_them(client: DataClient) -> None:
    listing = client.sets(RECIPE)
    assert [one.name for one in listing.sets] == ["identity", "ranked", "long", "counted", "hub", "broken"]
    ranked, broken = listing.sets[1], listing.sets[-1]
    assert "cannot be used for sft" in ranked.unfit
    assert ranked.stages == ("dpo", "rm")
    assert broken.problem == "broken.json:3: not JSON"
    assert broken.size is None


def test_an_opened_set_tells_its_columns_and_its_rows_are_read_in_pieces(client: DataClient) -> None:
    opened = client.open("long", RECIPE)
    assert opened.format is not None
    assert [(one.name, one.value) for one in opened.format.mapping][:2] == [
        ("prompt", "instruction"),
        ("query", "input"),
    ]
    assert (opened.known, opened.complete, opened.parts) == (2, True, ("whole",))
    first = client.view(1, "raw", "whole", 0, 1000)
    last = client.view(1, "raw", "whole", first.total - 20, 1000)
    assert len(first.text) == 1000
    assert first.total > 100_000
    assert "THE END" in last.text
    assert (first.file, first.file_row, first.line) == ("long.json", 2, 7)


def test_tokens_carry_ids_and_what_is_learned(client: DataClient) -> None:
    client.open("identity", RECIPE)
    piece = client.view(0, "tokens", "whole", 0, 100)
    learned = "".join(words for words, _, trained in piece.tokens if trained)
    assert learned == "I am Tim.<end>"
    assert piece.trained == 4
    assert piece.tokens[0] == ("<user>", 100, False)
    bad = client.view(2, "tokens", "whole", 0, 100)
    assert bad.problem is not None
    assert bad.problem.hint == "Name the column of the answer"


def test_rows_are_found_by_their_words_and_by_their_place(client: DataClient) -> None:
    opened = client.open("identity", RECIPE)
    assert client.search("小舵", 0) == 1
    assert client.search("who", 1) is None
    assert client.search("who", 2, backwards=True) == 0
    files = [path for path, _ in opened.files]
    assert client.locate(files, "identity.json", 3, opened.known) == 2
    assert client.locate(files, "identity.json", 4, opened.known) is None
    assert client.locate(files, "other.json", 1, opened.known) is None


def test_more_rows_become_known_while_they_are_counted() -> None:
    said: list[tuple[str, Indexed]] = []
    complete = threading.Event()

    def counted(name: str, counted: Indexed) -> None:
        said.append((name, counted))
        if counted.complete:
            complete.set()

    client = DataClient(COMMAND, counted)
    try:
        assert client.open("counted", RECIPE).known == 1
        assert complete.wait(20)
        assert said == [("counted", Indexed(2, False)), ("counted", Indexed(3, True))]
    finally:
        client.worker.close()


def test_a_check_reports(client: DataClient) -> None:
    told: list[Progress] = []
    report = client.check(["identity"], RECIPE, told.append)
    assert told == [Progress(3, 3, "identity")]
    assert (report.rows_read, report.rows_used, report.rows_bad, report.ok) == (3, 2, 1, True)
    assert report.bad[0].examples[0].place == "identity.json:9"
    assert report.counts["truncated"] == 1
    assert (report.edges, report.bins) == ((0, 64, 128, 192), (20, 10, 1))
    assert report.lengths is not None
    assert report.findings[0].text == "1 row was cut."


@pytest.mark.parametrize("verb", ["check", "search"])
def test_a_long_request_can_be_given_up_and_quick_ones_go_on_meanwhile(client: DataClient, verb: str) -> None:
    client.open("identity", RECIPE)
    begun = threading.Event()
    ended: list[str] = []

    def work() -> None:
        try:
            if verb == "check":
                client.check(["slow.json"], RECIPE, lambda _progress: begun.set())
            else:
                client.search("slow", 0, told=lambda _progress: begun.set())
        except CancelledError as error:
            ended.append(str(error))

    waiting = threading.Thread(target=work)
    waiting.start()
    assert begun.wait(20)
    assert client.view(0, "raw", "whole", 0, 10).text
    client.cancel(verb)
    waiting.join(20)
    assert ended == ["given up"]


def test_refusals_have_codes_and_the_worker_lives_on(client: DataClient) -> None:
    with pytest.raises(RefusedError) as refused:
        client.open("hub", RECIPE)
    assert refused.value.code == "not_downloaded"
    assert client.open("hub", RECIPE, download=True).name == "hub"
    with pytest.raises(RefusedError) as refused:
        client.register("identity", {}, "data")
    assert refused.value.code == "exists"
    with pytest.raises(UserError, match=r"broken\.json:3"):
        client.open("broken", RECIPE)
    assert client.worker.current is not None
    assert client.worker.current.alive


def test_a_worker_that_died_is_started_again_with_the_same_set_open(client: DataClient) -> None:
    client.open("identity", RECIPE)
    first = client.worker.pid
    other = DataClient(COMMAND)
    with pytest.raises(UserError, match=r"exit status 3.*MemoryError: too large"):
        other.open("crash", RECIPE)
    other.worker.close()
    assert client.worker.current is not None
    client.worker.current.process.kill()
    client.worker.current.process.wait()
    assert "Who are you?" in client.view(0, "raw", "whole", 0, 1000).text
    assert client.worker.pid != first


def test_close_frees_whoever_waits_and_nothing_is_started_afterwards() -> None:
    client = DataClient(COMMAND)
    begun = threading.Event()
    errors: list[str] = []

    def work() -> None:
        try:
            client.check(["slow.json"], RECIPE, lambda _progress: begun.set())
        except UserError as error:
            errors.append(str(error))

    waiting = threading.Thread(target=work)
    waiting.start()
    assert begun.wait(20)
    client.worker.close()
    waiting.join(20)
    assert len(errors) == 1
    with pytest.raises(UserError, match="closed"):
        client.sets(RECIPE)


def test_a_program_that_is_missing_is_a_user_error() -> None:
    with pytest.raises(UserError, match="cannot be started"):
        DataClient(("/no/such/program",)).sets(RECIPE)


def test_the_client_needs_neither_textual_nor_what_reads_data() -> None:
    program = (
        "import sys, tui.data_client, tui.data_answers, tui.data_mapping\n"
        "names = ('textual', 'torch', 'numpy', 'pyarrow', 'tokenizers')\n"
        "print([name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_answer_of_another_version_reads_as_empty_where_it_says_nothing() -> None:
    from tui import data_answers

    assert data_answers.listing({}).sets == ()
    assert data_answers.opened({"set": "x"}).parts == ("whole",)
    assert data_answers.piece({"what": "tokens", "tokens": [["a", 1, 1]]}).tokens == (("a", 1, True),)
    report = data_answers.report({"ok": True, "report": {"lengths": None, "padding": None, "kto": None}})
    assert (report.lengths, report.padding_unpacked, report.desirable) == (None, None, None)
