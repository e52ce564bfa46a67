"""The app's logic with streamlit's own test driver, and the report as one HTML file."""

import csv
import io
import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from conftest import photo
from PIL import Image
from test_review_core import read_report, write_report

if TYPE_CHECKING:
    import s3

pytest.importorskip("streamlit")
from streamlit.testing.v1 import AppTest

from tagger import metadata
from tagger.cli import main, review
from tagger.errors import RunError
from tagger.ledger.ledger import Ledger
from tagger.places.landmarks import load_landmarks
from tagger.records import Status
from tagger.review import thumbnails, trial, writeback
from tagger.review.decision import Decision, Verdict
from tagger.review.htmlreport import write_html
from tagger.review.options import AppOptions, configure
from tagger.review.pages import review_page
from tagger.review.session import Review
from tagger.review.trusted_root import BucketRoot
from tagger.review.view import Filter, Progress, View

APP = Path(review_page.__file__).with_name("app.py")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def report(library: Path) -> Path:
    """A dry run's report of a library with one photo of each kind."""
    rows = []
    for name, status, landmark, confidence in (
        ("a_taj.jpg", "would_tag", "Taj Mahal", "0.9700"),
        ("b_grey.jpg", "no_landmark", "Taj Mahal", "0.0500"),
        ("trip/eiffel.JPG", "unsure", "Eiffel Tower", "0.5200"),
        ("trip/qutub.jpg", "unsure", "Taj Mahal", "0.4000"),
    ):
        now = (library / name).stat()
        rows.append(
            {"path": str(library / name), "status": status, "landmark": landmark,
             "confidence": confidence, "second": "Qutub Minar", "second_confidence": "0.0100",
             "size": str(now.st_size), "mtime_ns": str(now.st_mtime_ns)}
        )  # fmt: skip
    taj = load_landmarks()["Taj_Mahal"]
    rows[0] |= {"latitude": f"{taj.latitude:.5f}", "longitude": f"{taj.longitude:.5f}"}
    return write_report(library / "report.csv", rows)


@pytest.fixture
def app(report: Path, library: Path, colour_model: Path) -> Iterator[AppTest]:
    review_page.opened.clear()
    configure(AppOptions(report, library, library.parent / "ledger.db", colour_model))
    yield AppTest.from_file(str(APP), default_timeout=120).run()
    review_page.opened(report, library)[0].close()
    review_page.opened.clear()
    configure(AppOptions())


def test_review_by_buttons(app: AppTest, report: Path) -> None:
    assert not app.exception and not app.error
    assert app.session_state.current == 2  # 0.52 is the most doubtful
    app.button(key="accept").click().run()
    assert app.session_state.current == 3
    app.button(key="second").click().run()
    app.button(key="reject").click().run()
    app.button(key="undo").click().run()
    assert app.session_state.current == 1
    review = review_page.opened(report, report.parent)[0]
    review.flush()
    rows = read_report(report)
    assert [row["accept"] for row in rows] == ["", "", "yes", "yes"]
    assert rows[3]["landmark"] == "Qutub Minar"
    assert rows[2]["latitude"] != ""  # an unsure row gets the place of the landmark accepted


def test_the_views_show_what_was_reviewed(app: AppTest, report: Path, library: Path) -> None:
    for key in ("accept", "second", "reject", "accept"):
        app.button(key=key).click().run()
    app.segmented_control(key="view").set_value("Accuracy").run()
    assert not app.exception
    assert any("--min-conf" in message.value for message in app.success)
    app.button(key="export").click().run()
    assert len(list((library / "reviewed_photos" / "train").rglob("*.jpg"))) == 3
    app.segmented_control(key="view").set_value("Places").run()
    assert not app.exception
    app.segmented_control(key="view").set_value("Apply").run()
    app.button(key="apply").click().run()
    assert "3 photos will be changed" in app.warning[0].value
    app.button(key="apply_confirmed").click().run()
    assert not app.exception and not app.error
    assert "3 photos written" in app.success[0].value
    assert app.run().button(key="apply").disabled  # nothing is left to write
    assert not app.exception and not app.success
    with Ledger.open(library.parent / "ledger.db") as book:
        assert [run.written for run in book.runs()] == [3]


def test_what_apply_wrote_is_not_offered_again(app: AppTest, report: Path, library: Path) -> None:
    app.session_state.current = 0
    app.run().button(key="accept").click().run()
    (library / "trip/eiffel.JPG").write_bytes(photo((9, 9, 9)))  # changed: it stays on offer
    app.session_state.current = 2
    app.run().button(key="accept").click().run()
    app.segmented_control(key="view").set_value("Apply").run()
    app.button(key="apply").click().run()
    app.button(key="apply_confirmed").click().run()
    assert "1 photo written" in app.success[0].value
    app.run().button(key="apply").click().run()
    app.button(key="apply_confirmed").click().run()
    assert "**1 photo** will get" in "".join(text.value for text in app.markdown)
    assert "0 photos written" in app.success[0].value
    assert "since the review started: 1 photo." in app.caption[-1].value
    assert not any("not as you decided" in text.value for text in app.warning)
    review_page.opened(report, library)[0].decide([0], Decision(Verdict.REJECT))
    assert "not as you decided: 1 photo" in app.run().warning[0].value


def test_apply_writes_what_the_filters_show(
    app: AppTest, library: Path, bytes_of: Callable[[Path], dict[str, bytes]]
) -> None:
    def photos() -> dict[str, bytes]:
        return {n: data for n, data in bytes_of(library).items() if "report" not in n}

    before = photos()
    app.multiselect(key="landmarks").set_value(["Eiffel Tower"]).run()
    app.button(key="accept").click().run()
    app.multiselect(key="landmarks").set_value(["Taj Mahal"]).run()
    app.segmented_control(key="view").set_value("Apply").run()
    assert app.button(key="apply").disabled
    assert "hide 1 photo more" in app.info[0].value
    app.toggle(key="every").set_value(True).run()
    assert app.button(key="apply").label == "Write into 1 photo"
    app.button(key="apply").click().run()
    app.button(key="apply_cancelled").click().run()
    assert photos() == before
    app.button(key="apply").click().run()
    app.toggle(key="beyond").set_value(True).run()  # another number: confirmed anew
    assert app.button(key="apply").label == "Write into 2 photos"
    app.toggle(key="beyond").set_value(False).run()
    app.button(key="apply_confirmed").click().run()
    after = photos()
    changed = [name for name in before if before[name] != after[name]]
    assert [Path(name).name for name in changed] == ["a_taj.jpg"]
    assert "1 photo written" in app.success[0].value


def test_commands_can_be_pasted_into_a_shell(app: AppTest, report: Path, library: Path) -> None:
    for key in ("accept", "accept"):
        app.button(key=key).click().run()
    app.segmented_control(key="view").set_value("Accuracy").run()
    folder = library / "my $photos; x"
    app.text_input[0].set_value(str(folder)).run()
    app.button(key="export").click().run()
    words = shlex.split(app.code[0].value)
    assert words[4:] == ["--data", str(folder), "--negatives", str(folder / "negatives")]
    from train.__main__ import main as train

    done = CliRunner().invoke(train, words[3:])  # it is understood; that few photos cannot train
    assert isinstance(done.exception, RunError), done.output
    assert any("10 photos or more" in text.value for text in app.caption)


def test_filters_narrow_the_photos(app: AppTest) -> None:
    app.multiselect(key="statuses").set_value(["would_tag"]).run()
    assert app.session_state.current == 0
    app.toggle(key="together").set_value(True).run()
    assert not app.exception
    app.slider(key="confidence").set_value((10, 20)).run()
    assert "No photo passes" in app.info[0].value


def test_a_message_is_text_and_no_markdown(app: AppTest) -> None:
    app.session_state["message"] = "/p/![x](http://192.0.2.1/a.png):\n `b` :red[c]"
    app.run()
    shown = r"\/p\/\!\[x\]\(http\:\/\/192\.0\.2\.1\/a\.png\)\: \`b\` \:red\[c\]"
    assert app.error[0].value == shown


def test_apply_refuses_what_lies_outside(report: Path, library: Path) -> None:
    outside = library.parent / "outside.jpg"
    outside.write_bytes(photo((220, 30, 30)))
    rows = read_report(report)
    write_report(report, [rows[0] | {"path": str(outside)}])
    review = Review(report, load_landmarks())
    review.decide([0], Decision(Verdict.ACCEPT))
    before = outside.read_bytes()
    with pytest.raises(Exception, match="lies outside"):
        writeback.write_back(review, [0], library, library.parent / "l.db", lambda part: None)
    assert outside.read_bytes() == before
    review.close()


def applied(report: Path, library: Path, rows: list[int]) -> list[str]:
    """What Apply says about each row that is to be written."""
    review = Review(report, load_landmarks())
    try:
        asked = writeback.to_write(review, rows)
        outcomes = writeback.write_back(
            review, asked, library, library.parent / "l.db", lambda part: None
        )[1]
        return [outcome.reason for outcome in outcomes]
    finally:
        review.close()


@pytest.mark.parametrize(
    ("accept", "problem"),
    [("Yes", "reviewed"), ("x", "reviewed"), (" 1 ", "reviewed"), ("ja", "write yes or no"),
     ("No", ""), ("0", "")],
)  # fmt: skip
def test_apply_takes_the_words_that_the_command_takes(
    report: Path, library: Path, accept: str, problem: str
) -> None:
    rows = read_report(report)
    write_report(report, [rows[0] | {"accept": accept}, *rows[1:]])
    reasons = applied(report, library, [0, 1, 2, 3])
    assert len(reasons) == bool(problem) and all(problem in reason for reason in reasons)


def test_a_row_that_declines_a_photo_keeps_another_from_writing_it(
    report: Path, library: Path
) -> None:
    rows, before = read_report(report), (library / "a_taj.jpg").read_bytes()
    write_report(report, [*rows, rows[0] | {"run_id": "run-2", "accept": "no"}])
    (reason,) = applied(report, library, [0])
    assert "several rows write or decline this photo" in reason
    assert (library / "a_taj.jpg").read_bytes() == before


def of_50_megapixels() -> bytes:
    """A red photo, enlarged: noise of this size would take 4 GB and 10 seconds."""
    with Image.open(io.BytesIO(photo((220, 30, 30)))) as small:
        buffer = io.BytesIO()
        small.resize((8660, 5774), Image.Resampling.NEAREST).save(buffer, "JPEG", quality=40)
        return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "make", "status"),
    [
        ("taj.jpg", lambda: photo((220, 30, 30)), Status.WOULD_TAG),
        ("grey.png", lambda: photo((120, 120, 120), format="PNG"), Status.NO_LANDMARK),
        ("text.jpg", lambda: b"not a photo", Status.UNSUPPORTED),
        ("empty.jpg", lambda: b"", Status.UNREADABLE),
        ("cut.jpg", lambda: photo((220, 30, 30))[:200], Status.UNREADABLE),
        ("big.jpg", of_50_megapixels, Status.WOULD_TAG),
    ],
)
def test_a_trial_is_what_the_command_does(
    name: str, make: Callable[[], bytes], status: Status, colour_model: Path
) -> None:
    from tagger.model.classifier import Classifier

    data, classifier = make(), Classifier(colour_model, "cpu")
    outcome = trial.attempt(name, data, classifier, 0.6)
    assert outcome.status is status
    made = trial.tagged(outcome, data, classifier.sha256)
    assert (made is not None) == (status is Status.WOULD_TAG)


def test_a_heic_is_tried_as_the_command_does(colour_model: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    from tagger.model.classifier import Classifier

    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), (220, 30, 30))).save(buffer)
    data = buffer.getvalue()
    classifier = Classifier(colour_model, "cpu")
    outcome = trial.attempt("taj.heic", data, classifier, 0.6)
    assert outcome.status is Status.WOULD_TAG
    made = trial.tagged(outcome, data, classifier.sha256)
    assert made is not None
    assert made.name == "taj.heic" and b"Taj Mahal" in made.data and not made.why
    assert metadata.position(made.data) is not None


def test_agreeing_that_there_is_none_writes_no_place(app: AppTest, report: Path) -> None:
    app.multiselect(key="statuses").set_value(["no_landmark"]).run()
    app.button(key="accept").click().run()
    review = review_page.opened(report, report.parent)[0]
    review.flush()
    assert read_report(report)[1]["accept"] == "no"
    app.button(key="undo").click().run()
    app.button(key="landmark").click().run()  # "It is Taj Mahal", key 1
    review.flush()
    assert [read_report(report)[1][name] for name in ("accept", "landmark")] == ["yes", "Taj Mahal"]


def test_accepting_all_that_look_alike_means_the_guess_on_the_screen(
    app: AppTest, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "alike", lambda prints: [0] * len(prints))
    app.toggle(key="together").set_value(True).run()  # 1 is dismissed, 2 another guess
    app.session_state.current = 1
    assert "accept_alike" not in {button.key for button in app.run().button}
    app.session_state.current = 3
    app.run()
    assert app.button(key="accept_alike").label == "Accept all 2 that look alike"
    app.button(key="accept_alike").click().run()
    assert app.session_state.current == 1
    review_page.opened(report, report.parent)[0].flush()
    assert [row["accept"] for row in read_report(report)] == ["yes", "", "", "yes"]


def test_any_landmark_can_be_named(app: AppTest, report: Path) -> None:
    app.selectbox(key="other_2").set_value("Louvre").run()
    review = review_page.opened(report, report.parent)[0]
    review.flush()
    assert [read_report(report)[2][name] for name in ("accept", "landmark")] == ["yes", "Louvre"]


def test_the_html_report_holds_all_and_fetches_nothing(
    report: Path, library: Path, tmp_path: Path
) -> None:
    rows = read_report(report)
    evil = "</script><script>alert(1)</script>"
    write_report(report, [*rows, {"path": "/etc/passwd"}, rows[0] | {"reason": evil}])
    out = tmp_path / "out.html"
    assert write_html(report, out, library, thumbnails=2) == 1
    text = out.read_text(encoding="utf-8")
    assert evil not in text and "/etc/passwd" not in text and "@@" not in text
    assert text.count("data:image/jpeg;base64,") == 2
    links = re.findall(r"https?://[^\s\"'<>]+", text)
    assert set(links) <= {"http://www.w3.org/2000/svg"}  # a name, not an address
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])  # type: ignore[index]
    assert len(data["rows"]) == 5


def test_the_html_report_counts_thousands_with_commas(report: Path, library: Path) -> None:
    rows, out = read_report(report), report.with_name("out.html")
    write_report(report, [rows[0]] * 1200)
    assert write_html(report, out, library, thumbnails=0) == 0
    assert "1,200 photos: 1,200 would tag." in out.read_text(encoding="utf-8")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", ["report.csv", "a_taj.jpg", "pipe.html"])
def test_the_html_report_replaces_no_other_file(report: Path, library: Path, name: str) -> None:
    os.mkfifo(library / "pipe.html")
    out = library / name
    before = out.stat()
    options = [str(report), "--html", str(out), "--root", str(library)]
    refused = CliRunner().invoke(review.report, options)
    assert refused.exit_code == 2
    assert f"--html {out}: exists and is not an HTML file; choose another name" in refused.output
    assert out.stat().st_ino == before.st_ino and out.stat().st_mtime_ns == before.st_mtime_ns


def test_the_html_report_replaces_an_earlier_one(report: Path, library: Path) -> None:
    out = report.with_name("out.html")
    for earlier in (b"", b"\xef\xbb\xbf\n<!DOCTYPE HTML>"):
        out.write_bytes(earlier)
        assert write_html(report, out, library, thumbnails=0) == 0
        assert write_html(report, out, library, thumbnails=0) == 0


def test_a_report_of_another_folder_needs_its_root(report: Path, library: Path) -> None:
    elsewhere = library.parent / "elsewhere"
    elsewhere.mkdir()
    moved = Path(report.rename(elsewhere / "report.csv"))
    options = [str(moved), "--html", str(elsewhere / "o.html"), "--ledger", str(elsewhere / "l.db")]
    refused = CliRunner().invoke(review.report, options)
    assert refused.exit_code == 2
    assert f"--root {library}" in refused.output
    allowed = CliRunner().invoke(review.report, [*options, "--root", str(library)])
    assert allowed.exit_code == 0, allowed.output


def test_rows_of_another_folder_are_counted_with_the_remedy(report: Path, library: Path) -> None:
    rows = read_report(report)
    write_report(report, [rows[0], rows[1] | {"path": str(library.parent / "outside.jpg")}])
    options = [str(report), "--html", str(report.with_name("o.html")), "--root", str(library)]
    output = CliRunner().invoke(review.report, options).output
    assert f"1 row of files outside {library} left out; --root names another folder" in output


@pytest.fixture
def bucket_report(bucket: "s3.Bucket", library: Path, colour_model: Path, tmp_path: Path) -> Path:
    """A dry run's report of a bucket."""
    pytest.importorskip("obstore")
    for name in ("a_taj.jpg", "b_grey.jpg", "trip/eiffel.JPG"):
        bucket.put(f"in/{name}", (library / name).read_bytes())
    report = tmp_path / "bucket.csv"
    options = ["--dry-run", "--quiet", "--model", str(colour_model), "--report", str(report)]
    assert CliRunner().invoke(main.main, [f"{bucket.url}/in", *options]).exit_code == 0
    return report


def test_a_buckets_report_is_reviewed_and_applied(
    bucket: "s3.Bucket", bucket_report: Path, tmp_path: Path
) -> None:
    review_page.opened.clear()
    root = BucketRoot(f"{bucket.url}/in")
    configure(AppOptions(bucket_report, root, tmp_path / "ledger.db"))
    app = AppTest.from_file(str(APP), default_timeout=120).run()
    try:
        assert not app.exception and not app.error and not app.warning
        review, view = review_page.opened(bucket_report, root)
        assert (view.refused, len(view.rows(Filter()))) == (0, 3)
        assert len(thumbnails.thumbnail_of(review.sheet.photo(0), root, 100)) > 100
        before = bucket.contents()
        review.decide([0], Decision(Verdict.ACCEPT))
        review.decide([2], Decision(Verdict.REJECT))
        app.segmented_control(key="view").set_value("Apply").run()
        app.button(key="apply").click().run()
        app.button(key="apply_confirmed").click().run()
        assert "1 photo written" in app.success[0].value
        after = bucket.contents()
        assert [name for name in after if after[name] != before[name]] == ["in/a_taj.jpg"]
        written = after["in/a_taj.jpg"]
        assert written and metadata.position(written)
    finally:
        review_page.opened(bucket_report, root)[0].close()
        review_page.opened.clear()
        configure(AppOptions())


def test_a_buckets_report_becomes_html(
    bucket: "s3.Bucket", bucket_report: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.html"
    options = [str(bucket_report), "--html", str(out), "--ledger", str(tmp_path / "l.db")]
    refused = CliRunner().invoke(review.report, options)
    assert refused.exit_code == 2 and f"add --root {bucket.url}/in" in refused.output
    done = CliRunner().invoke(review.report, [*options, "--root", f"{bucket.url}/in"])
    assert done.exit_code == 0, done.output
    assert out.read_text(encoding="utf-8").count("data:image/jpeg;base64,") == 3


def test_help_needs_neither_torch_nor_streamlit() -> None:
    program = (
        "import sys, tagger.cli.review\n"
        "assert not {'torch', 'streamlit', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([__import__("sys").executable, "-c", program], check=True)


def test_the_figures_of_a_large_report_come_quickly_enough_to_page(tmp_path: Path) -> None:
    """20,000 rows open, filter and save; scripts measure the times, this shows that it works."""
    rows = [
        {"path": f"{tmp_path}/{n % 50}/{n}.jpg", "status": "unsure", "landmark": "Taj Mahal",
         "confidence": f"{n / 2e4:.5f}"}
        for n in range(20_000)
    ]  # fmt: skip
    report = write_report(tmp_path / "report.csv", rows)
    review = Review(report, load_landmarks())
    view = View(review, tmp_path)
    assert view.rows(Filter())[0] == 10_000  # 0.5 is the greatest doubt
    assert len(view.rows(Filter(folder="7", low=0.5))) == 200
    review.decide(range(10_000), Decision(Verdict.ACCEPT))
    assert len(view.rows(Filter(progress=Progress.OPEN))) == 10_000
    review.flush()
    with report.open(newline="") as file:
        assert sum(row["accept"] == "yes" for row in csv.DictReader(file)) == 10_000
    review.close()
