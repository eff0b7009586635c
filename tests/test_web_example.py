"""The example for browsers: its functions say what ours say, and its page measures what PyTorch does."""

from __future__ import annotations

import functools
import importlib
import json
import math
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import browser
import exported_network
from exported_network import GRAPHS
from synctool.features.inputs import as_input
from synctool.features.logmel import MARGIN, logmel
from synctool.networks.loaded import LoadedModel
from synctool.networks.names import model_spec
from synctool.plugins.specs import VideoInput
from synctool.runtimes.graphs import audio_window
from synctool.runtimes.torch import TorchRuntime
from synctool.scoring.confidence import UNCALIBRATED, Belonging, Calibration, Distinctness
from synctool.scoring.offset import estimate_offset
from synctool.scoring.verdict import LEAST_CONFIDENCE
from synctool.types import EXPORT_SCHEMA
from synctool.weights.artefact import (
    Artefact,
    ArtefactPart,
    digest,
    read_artefact,
    size,
    write_manifest,
)

TESTS = Path(__file__).resolve().parent
EXAMPLE = TESTS.parent / "examples" / "web"
GENERATED = ("node_modules", "model", "inputs")
CALIBRATION = Calibration(
    *(-2.0, 1.5, 0.3, 0.2, 0.4),
    temperature=1.4,
    belonging=Belonging(-1.0, 0.4, 0.1, -0.2, 0.6),
    distinct=Distinctness(-4.0, 2.0, 0.5),
)
_NO_REGISTRY = re.compile(
    r"E(NOTFOUND|CONNREFUSED|CONNRESET|TIMEDOUT|AI_AGAIN|NETUNREACH|HOSTUNREACH)"
)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not EXAMPLE.is_dir(), reason="the example lies in the repository only"),
    pytest.mark.timeout(180),
]
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no node on this computer")


@pytest.fixture(scope="module")
def scripts() -> Iterator[SimpleNamespace]:
    """The Python of the example."""
    sys.path.insert(0, str(EXAMPLE))
    try:
        names = ("make_inputs", "made_up_talk")
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(EXAMPLE))


def model(*, zero_frames: float = 0.0, **spec: Any) -> LoadedModel:
    """A small network with random weights, in which everything does something."""
    built, network = exported_network.lively()
    return LoadedModel(
        spec=replace(built, **spec),
        runtime=TorchRuntime(network, torch.device("cpu")),
        weights="tiny sha256:0123456789abcdef",
        calibration=CALIBRATION,
        zero_frames=zero_frames,
    )


# ------------------------------------------------------------------------------------ its functions


def typed(values: np.ndarray) -> dict[str, list[Any]]:
    """An array for ``web_functions.mjs``."""
    flat = values.ravel().tolist()
    return {values.dtype.name: [None if math.isnan(x) else x for x in flat]}


def called_each(module: str, name: str, calls: list[tuple[Any, ...]]) -> list[Any]:
    """What a function of the example gives, or ``{"refused": words}``, for each list of arguments."""
    done = subprocess.run(
        ["node", TESTS / "web_functions.mjs"],
        input=json.dumps({"module": str(EXAMPLE / module), "name": name, "calls": calls}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [answer["value"] for answer in json.loads(done.stdout)]


def called(module: str, name: str, *args: Any) -> Any:
    """The same for one."""
    return called_each(module, name, [args])[0]


def array(values: list[float | None], *shape: int) -> np.ndarray:
    return np.array([np.nan if x is None else x for x in values], np.float64).reshape(shape)


def facts(loaded: LoadedModel) -> dict[str, Any]:
    """What a manifest says of the inputs."""
    video, audio = loaded.spec.video, loaded.spec.audio
    return {"video": vars(video), "audio": vars(audio), "zero_frames": loaded.zero_frames}


@needs_node
def test_log_mel_bands_are_ours(scripts: SimpleNamespace) -> None:
    voice = scripts.made_up_talk.audio(20, 0, ahead_frames=0).astype(np.float32) / 32768
    random = np.random.default_rng(0)
    noise = random.standard_normal(160 * 9 + 2 * MARGIN).astype(np.float32)
    audio = (voice, noise, 0 * noise, noise[: 2 * MARGIN + 159])
    answers = called_each("features.js", "logMel", [(typed(samples),) for samples in audio])
    for samples, theirs in zip(audio, answers):
        ours = logmel(samples)
        np.testing.assert_allclose(array(theirs, *ours.shape), ours, atol=1e-4)


@needs_node
@pytest.mark.parametrize("zero_frames", [0.0, 0.41, -0.77])
@pytest.mark.parametrize("kind", ["logmel64", "waveform16k"])
def test_audio_is_brought_into_its_form_as_in_python(
    scripts: SimpleNamespace, kind: str, zero_frames: float
) -> None:
    given = model_spec("fcn-cls")
    audio = replace(given.audio, kind=kind)
    loaded = LoadedModel(replace(given, audio=audio), None, "", UNCALIBRATED, zero_frames)
    samples = scripts.made_up_talk.audio(5, 1, ahead_frames=0)[:-333]
    samples = np.concatenate([samples, samples // 9, samples, samples // 2])  # of changing level
    ours = scripts.make_inputs.audio_input(loaded, samples)
    theirs = called("features.js", "audioInput", typed(samples), facts(loaded))
    assert theirs["shape"] == list(ours.shape)
    np.testing.assert_allclose(array(theirs["values"], *ours.shape), ours, atol=1e-4)


@needs_node
def test_audio_that_cannot_be_made_here_is_refused_with_words() -> None:
    answer = called(
        "features.js", "audioInput", typed(np.zeros(640, np.int16)),
        {"audio": {"kind": "mfcc13"}, "zero_frames": 0.0},
    )  # fmt: skip
    assert "mfcc13" in answer["refused"] and "logmel64" in answer["refused"]


@needs_node
@pytest.mark.parametrize(
    "wanted",
    [
        VideoInput(crop="mouth", size_px=7, colour="gray"),
        VideoInput("mouth", 7, "gray", (-1.0, 1.0), (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)),
        VideoInput("face", 7, "rgb", (0.0, 1.0), (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)),
        VideoInput("face", 7, "bgr", (0.0, 255.0)),
    ],
)
def test_frames_are_brought_into_their_form_as_in_python(wanted: VideoInput) -> None:
    shape = (3, 7, 7) if wanted.colour == "gray" else (3, 7, 7, 3)
    crops = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    ours = as_input(crops, wanted)
    calls = [(typed(given), 3, {"video": vars(wanted)}) for given in (crops, crops[:2])]
    answer, fewer = called_each("features.js", "videoInput", calls)
    assert answer["shape"] == list(ours.shape)
    np.testing.assert_allclose(array(answer["values"], *ours.shape), ours, rtol=1e-6, atol=1e-6)
    assert f"not 3 {wanted.colour} frames" in fewer["refused"]


@needs_node
def test_windows_of_audio_are_ours() -> None:
    heard = np.random.default_rng(0).standard_normal((1, 3, 9)).astype(np.float32)
    given = {"values": typed(heard), "size": 3, "frames": 9}
    cases = [(6, 0), (6, 4), (6, -5), (2, 40), (2, -40)]
    calls = [(given, frames, {"rows": 4, "audioLead": lead}) for frames, lead in cases]
    for (frames, lead), window in zip(cases, called_each("offset.js", "audioWindow", calls)):
        audio, inside = audio_window(heard, frames, rows=4, audio_lead=lead)
        assert window["length"] == audio.shape[-1]
        assert np.array_equal(array(window["audio"], *audio.shape), audio)
        assert np.array_equal(array(window["inside"], *inside.shape), inside)


def volumes() -> dict[str, np.ndarray]:
    """Scores of all kinds, float32 ``[31, T]``."""
    random = np.random.default_rng(0)
    rows = np.arange(31)[:, None]
    noise = random.standard_normal((31, 60))
    steady = 3 * np.exp(-0.5 * ((rows - 18.3) / 1.5) ** 2) + np.zeros(60)
    peak = noise + steady
    index = np.arange(60) - (rows - 15)
    cut = np.where((index >= 0) & (index < 60), peak, np.nan)
    edge = cut + 9 * (rows == 30)
    known = {
        "noise": noise,
        "steady": steady,
        "peak": peak,
        "cut": cut,
        "levels": cut + 50 * random.standard_normal(60),
        "edge": edge,
        "half of the edge": np.where(index < 30, edge, np.nan)[:, :30],
        "too little of the edge": np.where(index < 0, np.nan, edge)[:, :24],
        "one frame": peak[:, :1],
        "two rows": np.where(rows > 28, peak, np.nan),
        "flat": np.zeros((31, 9)),
        "nothing": np.full((31, 4), np.nan),
    }
    return {name: values.astype(np.float32) for name, values in known.items()}


@needs_node
def test_offset_and_confidence_are_ours() -> None:
    known = volumes()
    calls = [({"values": typed(v), "rows": 31, "frames": v.shape[1]},) for v in known.values()]
    found = dict(zip(known, called_each("offset.js", "estimateOffset", calls)))
    assert found.pop("nothing") is None and estimate_offset(known["nothing"]) is None
    estimates = {name: estimate_offset(known[name]) for name in found}
    for name, theirs in found.items():
        ours = estimates[name]
        assert (theirs["row"], theirs["frames"]) == (ours.row, ours.frames), name
        assert theirs["atEdge"] == ours.at_edge, name
        assert theirs["offsetFrames"] == pytest.approx(ours.offset_frames, abs=1e-5), name
        assert theirs["margin"] == pytest.approx(ours.margin, rel=1e-5, abs=1e-6), name
        assert theirs["tStat"] == pytest.approx(ours.t_stat, rel=1e-4, abs=1e-6), name
        np.testing.assert_allclose(array(theirs["curve"], 31), ours.curve, atol=1e-4, err_msg=name)
    for calibration in (CALIBRATION, None):
        told = calibration.to_dict() if calibration else None
        calls = [(theirs, told) for theirs in found.values()]
        for name, probability in zip(found, called_each("offset.js", "confidence", calls)):
            expected = (calibration or UNCALIBRATED).confidence(estimates[name])
            assert probability == pytest.approx(expected, abs=1e-5), name


@needs_node
def test_scores_outside_the_audio_are_no_numbers() -> None:
    values = typed(np.array([1.0, -1e30, 2.0, -3.0], np.float32))
    volume = called("offset.js", "scoreVolume", values, 2)
    assert volume == {"values": [1.0, None, 2.0, -3.0], "rows": 2, "frames": 2}


@needs_node
def test_manifests_that_cannot_be_used_are_refused_with_words() -> None:
    good = {
        "schema": EXPORT_SCHEMA,
        "format": "onnx",
        "parts": {name: {"file": f"{name}.onnx"} for name in GRAPHS},
    }
    bad = {
        "newer version of synctool (9.9)": {"schema": "synctool.export/2", "synctool": "9.9"},
        "not the manifest": {"schema": "synctool.detect/1"},
        "--format onnx": {"format": "coreml"},
        "--parts video,audio,head": {"parts": {"model": {"file": "model.onnx"}}},
        "no file name": {"parts": {name: {"file": "../video.onnx"} for name in GRAPHS}},
    }
    calls = [
        (given, "here") for given in (good, None, *({**good, **more} for more in bad.values()))
    ]
    taken, nothing, *refused = called_each("manifest.js", "checkManifest", calls)
    assert taken == good
    assert "not the manifest" in nothing["refused"]
    for words, answer in zip(bad, refused):
        assert words in answer["refused"]


def test_no_answer_is_shown_with_less_confidence_than_elsewhere() -> None:
    text = (EXAMPLE / "offset.js").read_text("utf-8")
    assert f"LEAST_CONFIDENCE = {LEAST_CONFIDENCE};" in text


def test_the_lock_file_names_no_registry() -> None:
    text = (EXAMPLE / "package-lock.json").read_text("utf-8")
    assert "://" not in text and "resolved" not in text
    wanted = json.loads((EXAMPLE / "package.json").read_text("utf-8"))["dependencies"]
    locked = json.loads(text)["packages"]
    assert wanted and locked[""]["dependencies"] == wanted
    assert all(entry["integrity"] for name, entry in locked.items() if name)


def test_the_audio_of_a_made_up_clip_is_moved(scripts: SimpleNamespace) -> None:
    talk = scripts.made_up_talk
    still, early = (talk.audio(50, 3, ahead_frames=n).astype(float) for n in (0, 4))
    loudness = [x.reshape(50, 640).std(1) for x in (still, early)]
    np.testing.assert_allclose(loudness[1][:40], loudness[0][4:44], rtol=0.3, atol=200)
    crops = talk.images(50, 24, 3)
    assert crops.shape == (50, 24, 24) and crops.dtype == np.uint8
    # An open mouth is dark, and a voice is loud: they go together where nothing is moved.
    dark = -crops.reshape(50, -1).mean(1)
    assert np.corrcoef(dark, loudness[0])[0, 1] > 0.7


# ----------------------------------------------------------------------------------------- its page


@dataclass(frozen=True)
class Site:
    """The example, served.

    Attributes:
        address: With a slash at its end.
        folder: What is served.
        model: The exported network in PyTorch.
    """

    address: str
    folder: Path
    model: LoadedModel


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder, without a line for each."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory,
    scripts: SimpleNamespace,
    shared: exported_network.Shared,
) -> Iterator[Site]:
    """A copy with its packages, a small exported network, and its inputs."""
    if browser.found() is None or shutil.which("npm") is None:
        pytest.skip("no Chromium or no npm on this computer")
    pytest.importorskip("onnxscript")
    folder = tmp_path_factory.mktemp("web") / "web"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(*GENERATED))
    install(folder)
    loaded = model(zero_frames=0.4)
    shutil.copytree(exported_network.onnx_graphs(shared), folder / "model")
    describe(loaded, folder / "model")
    scripts.make_inputs.write_inputs(
        folder / "inputs", loaded, clips=((0, 3.0), (1, -5.0)), frames=40
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Site(f"http://127.0.0.1:{server.server_port}/", folder, loaded)
    finally:
        server.shutdown()
        server.server_close()
        shutil.rmtree(folder / "node_modules")


def install(folder: Path) -> None:
    """The packages that the lock file names."""
    done = subprocess.run(
        ["npm", "ci", "--prefer-offline", "--fetch-retries=0"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and _NO_REGISTRY.search(done.stderr):
        pytest.skip("npm reaches no registry")
    assert done.returncode == 0, done.stderr


def describe(loaded: LoadedModel, folder: Path) -> None:
    """Make graphs an exported network, without the checks that ``synctool export`` makes."""
    from synctool.exporting.formats.parts import graph_parts, head_margin, head_reach

    parts = {}
    for part in graph_parts(loaded.spec, loaded.network, parts=GRAPHS):
        path = folder / f"{part.name}.onnx"
        inputs = {given.name: given.axes for given in part.inputs}
        parts[part.name] = ArtefactPart(path.name, digest(path), size(path), inputs, part.outputs)
    spec = loaded.spec
    artefact = Artefact(
        format="onnx",
        precision="float32",
        backbone=spec.full_name,
        weights=loaded.weights,
        embedding_size=spec.embedding_size,
        receptive_field_frames=spec.receptive_field_frames,
        audio_receptive_field_frames=spec.audio_receptive_field_frames,
        bounded=spec.bounded,
        video=spec.video,
        audio=spec.audio,
        margin=head_margin(loaded.network),
        reach=head_reach(loaded.network),
        zero_frames=loaded.zero_frames,
        calibration=loaded.calibration.to_dict(),
        licence="MIT",
        parts=parts,
        synctool="0",
    )
    write_manifest(artefact, folder)
    read_artefact(folder)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    """A browser for all tests."""
    if browser.found() is None:
        pytest.skip("no Chromium on this computer")
    with browser.opened(tmp_path_factory.mktemp("profile")) as page:
        yield page


def opened(tab: browser.Page, site: Site, query: str = "") -> str:
    """Open the page and wait until it has measured; what it says then."""
    tab.open(f"{site.address}{query}")
    over = "document.documentElement.dataset.state !== 'running'"
    assert tab.settled(over, True), "the page does not end"
    return tab.run("document.getElementById('status').innerText")


def state(tab: browser.Page) -> str:
    return tab.run("document.documentElement.dataset.state")


@pytest.mark.parametrize(("dark", "width"), [(False, 1200), (True, 360)])
def test_the_page_gets_the_same_numbers_and_asks_nobody_else(
    site: Site, tab: browser.Page, dark: bool, width: int
) -> None:
    tab.look(dark=dark, width=width)
    said = opened(tab, site)
    assert (state(tab), tab.complaints) == ("same", []), said
    assert {url for url in tab.requests if not url.startswith((site.address, "data:"))} == set()
    assert tab.run("document.querySelectorAll('.clip').length") == 2
    assert tab.run("document.querySelectorAll('td.same').length") == 2 * 5
    told = tab.run("Array.from(document.querySelectorAll('.finding, .soft'), e => e.innerText)")
    for clip, (finding, line) in zip(inputs(site)["clips"], (told[:2], told[2:])):
        expected = clip["expected"]
        sure = expected["confidence"] >= LEAST_CONFIDENCE
        assert finding.startswith("Audio is") if sure else finding == "Inconclusive"
        found = f"{expected['confidence']:.2f}"
        assert f"Confidence {found}. Python: " in line and line.endswith(f", {found}.")
        ms = round(expected["offset_frames"] * 40)
        assert f"{abs(ms)} ms {'ahead' if ms > 0 else 'behind'}" in line
    assert tab.run("document.documentElement.scrollWidth") <= width
    background = tab.run("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(17, 20, 23)" if dark else "rgb(247, 247, 245)")


def inputs(site: Site) -> dict[str, Any]:
    return json.loads((site.folder / "inputs" / "inputs.json").read_text("utf-8"))


@pytest.mark.parametrize("lead", [0, 7, -4])
def test_its_functions_measure_other_clips_as_pytorch_does(
    site: Site, tab: browser.Page, scripts: SimpleNamespace, lead: int
) -> None:
    crops = scripts.made_up_talk.images(23, site.model.spec.video.size_px, 7)
    samples = scripts.made_up_talk.audio(31, 7, ahead_frames=-2)[:-100]
    np.save(site.folder / "crops.npy", crops)
    np.save(site.folder / "samples.npy", samples)
    opened(tab, site)
    got = tab.run(
        f"""(async () => {{
          const s = await import("./synctool.js");
          const {{ readNpy }} = await import("./npy.js");
          const read = async (name) => readNpy(await (await fetch(name)).arrayBuffer(), name).values;
          const model = await s.loadModel("model");
          const seen = await s.encodeVideo(model, await read("crops.npy"), 23);
          const heard = await s.encodeAudio(model, await read("samples.npy"));
          const volume = await s.score(model, heard, seen, {{ maxOffset: 9, audioLead: {lead} }});
          const list = (values) => Array.from(values, (x) => (Number.isNaN(x) ? null : x));
          return {{
            seen: list(seen.values), heard: list(heard.values), scores: list(volume.values),
            offset: s.estimateOffset(volume).offsetFrames,
          }};
        }})()"""
    )
    runtime = site.model.runtime
    seen = runtime.encode_video(as_input(crops, site.model.spec.video))
    heard = runtime.encode_audio(scripts.make_inputs.audio_input(site.model, samples))
    scores = runtime.score(heard, seen, max_offset=9, audio_lead=lead)
    scores = np.where(np.isfinite(scores), scores, np.nan)
    assert np.isnan(scores).any() and np.isfinite(scores).any()
    for name, values in {"seen": seen, "heard": heard, "scores": scores}.items():
        np.testing.assert_allclose(array(got[name], *values.shape), values, atol=1e-4, err_msg=name)
    assert got["offset"] == pytest.approx(estimate_offset(scores[0]).offset_frames, abs=1e-3)


def test_numbers_that_differ_are_seen(site: Site, tab: browser.Page) -> None:
    wrong = site.folder / "wrong"
    shutil.copytree(site.folder / "inputs", wrong)
    scores = np.load(wrong / "1-scores.npy")
    scores[3, 20] += 0.01
    np.save(wrong / "1-scores.npy", scores)
    assert "do not agree" in opened(tab, site, "?inputs=wrong")
    assert state(tab) == "different"
    marked = "Array.from(document.querySelectorAll('td.different'), e => e.parentNode.cells[0].innerText)"
    assert tab.run(marked) == ["Scores"]


def test_of_rounded_weights_the_offsets_have_to_agree(site: Site, tab: browser.Page) -> None:
    rounded = site.folder / "rounded"
    shutil.copytree(site.folder / "model", rounded)
    manifest = rounded / "synctool.json"
    told = json.loads(manifest.read_text("utf-8")) | {"precision": "int8-dynamic"}
    manifest.write_text(json.dumps(told), "utf-8")
    assert "agree on the offsets" in opened(tab, site, "?model=rounded")
    assert tab.run("document.querySelectorAll('td.same').length") == 2 * 2
    assert "half a frame" in tab.run("document.querySelector('.clip .note').innerText")
    others = site.folder / "others"
    shutil.copytree(site.folder / "inputs", others)
    told = inputs(site)
    told["clips"][0]["expected"]["offset_frames"] += 0.7
    (others / "inputs.json").write_text(json.dumps(told), "utf-8")
    assert "do not agree" in opened(tab, site, "?model=rounded&inputs=others")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"schema": "synctool.export/2", "synctool": "9.9"}, "newer version of synctool (9.9)"),
        ({"weights": "other"}, "the inputs were made for tiny"),
        (None, "synctool export --format onnx"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_with_words(
    site: Site, tab: browser.Page, changed: dict[str, str] | None, words: str
) -> None:
    other = site.folder / "-".join(["other", *(changed or ())])
    if changed is not None:
        shutil.copytree(site.folder / "model", other)
        manifest = other / "synctool.json"
        told = json.loads(manifest.read_text("utf-8")) | changed
        manifest.write_text(json.dumps(told), "utf-8")
    assert words in opened(tab, site, f"?model={other.name}")
    assert state(tab) == "failed"


def test_a_graph_that_has_changed_is_refused(site: Site, tab: browser.Page) -> None:
    shutil.copytree(site.folder / "model", site.folder / "changed")
    with (site.folder / "changed" / "audio.onnx").open("ab") as file:
        file.write(b"\0")
    assert "audio.onnx is not the file that was exported" in opened(tab, site, "?model=changed")


def test_without_its_packages_the_page_says_what_to_do(site: Site, tab: browser.Page) -> None:
    bare = site.folder / "bare"
    shutil.copytree(EXAMPLE, bare, ignore=shutil.ignore_patterns(*GENERATED))
    assert "npm ci" in opened(tab, site, "bare/")
    assert state(tab) == "failed"


def test_a_clip_plays_with_its_audio_and_repaired(site: Site, tab: browser.Page) -> None:
    opened(tab, site)
    first = "document.querySelector('[data-part=frame]').toDataURL()"
    before = tab.run(first)
    tab.run(
        "window.starts = []; AudioBufferSourceNode.prototype.start = new Proxy("
        "AudioBufferSourceNode.prototype.start, { apply(start, node, given) {"
        " starts.push(given[0] - node.context.currentTime); return Reflect.apply(start, node, given); } })"
    )
    tab.click("[data-part=play]")
    assert tab.settled(f"{first} !== {json.dumps(before)}", True) is True
    assert tab.run("starts.length") == 1
    tab.run("document.querySelector('[data-part=repaired]').disabled = false")
    tab.click("[data-part=repaired]")
    assert tab.settled("starts.length", 2) == 2
    moved = tab.run("starts[1] - starts[0]")
    offset = inputs(site)["clips"][0]["expected"]["offset_frames"]
    assert moved == pytest.approx(max(offset, 0) / 25, abs=0.02)
    assert tab.complaints == []
