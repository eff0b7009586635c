// The page: runs the exported network on the clips of inputs/ and compares with what Python got.
// Another model or other clips: ?model=FOLDER&inputs=FOLDER

import { drawCurve, drawFrame, drawAudio, drawStrip } from "./charts.js";
import { readNpy } from "./npy.js";
import { play } from "./player.js";
import {
  LEAST_CONFIDENCE, SynctoolError, confidence, encodeAudio, encodeVideo, estimateOffset, loadModel, score,
  audioInput,
} from "./synctool.js";

// Another order of sums changes the last of seven digits, in a deep network the fifth or sixth.
const TOLERANCE = 1e-4;
const SAME_OFFSET = 0.5;
const INEXACT_NOTE =
  "The largest number in Python, and the largest difference from it. This network's weights are rounded: " +
  "features have to be the same to 0.0001, and offsets to half a frame.";
const MS_PER_FRAME = 40;
const asked = new URLSearchParams(location.search);

try {
  await main();
} catch (error) {
  say("failed", error instanceof SynctoolError ? error.message : `${error.name}: ${error.message}`);
  if (!(error instanceof SynctoolError)) console.error(error);
}

async function main() {
  const folder = new URL(`${asked.get("inputs") ?? "inputs"}/`, document.baseURI);
  const started = performance.now();
  const model = await loadModel(asked.get("model") ?? "model");
  const loaded = performance.now();
  const inputs = JSON.parse(new TextDecoder().decode(await fetched(new URL("inputs.json", folder))));
  if (inputs.weights !== model.facts.weights) {
    throw new SynctoolError(
      `the inputs were made for ${inputs.weights}, and the model is ${model.facts.weights}`,
      "Make them again with: python make_inputs.py",
    );
  }
  showFacts(model.facts);
  let [frames, same] = [0, true];
  for (const clip of inputs.clips) {
    say("running", `Measuring: ${clip.name} …`);
    await new Promise((resolve) => setTimeout(resolve)); // lets the page show it
    const shown = await measured(model, clip, inputs.max_offset, folder);
    same = show(model, clip, shown) && same;
    frames += shown.images.shape[0];
  }
  const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
  const took =
    `Loading took ${seconds(loaded - started)}, ` +
    `measuring ${seconds(frames * MS_PER_FRAME)} of video ${seconds(performance.now() - loaded)}.`;
  const kept = model.facts.precision;
  const inexact = kept === "float32" ? "" : ` on the offsets; other numbers differ where weights are ${kept}`;
  if (same) say("same", `The browser and Python agree${inexact}. ${took}`);
  else say("different", `The browser and Python do not agree. ${took}`);
}

/** Everything from crops and samples to an offset, in this browser; and the same from Python. */
async function measured(model, clip, maxOffset, folder) {
  const array = async (name) => readNpy((await fetched(new URL(name, folder))).buffer, name);
  const [images, samples] = [await array(clip.images), await array(clip.samples)];
  const audio = audioInput(samples.values, model.facts);
  const videoEmbeddings = await encodeVideo(model, images.values, images.shape[0]);
  const audioEmbeddings = await encodeAudio(model, samples.values);
  const volume = await score(model, audioEmbeddings, videoEmbeddings, { maxOffset });
  const estimate = estimateOffset(volume);
  if (!estimate) throw new SynctoolError(`${clip.name}: there is no audio beside the frames`);
  const compared = [
    ["Audio features", "audio", audio.values, audio.shape.filter((n) => n > 1)],
    ["Video embeddings", "video_features", videoEmbeddings.values, [videoEmbeddings.size, videoEmbeddings.frames]],
    ["Audio embeddings", "audio_features", audioEmbeddings.values, [audioEmbeddings.size, audioEmbeddings.frames]],
    ["Scores", "scores", volume.values, [volume.rows, volume.frames]],
  ];
  const rows = [];
  for (const [what, key, values, shape] of compared) {
    const expected = await array(clip.expected[key]);
    rows.push({ what, shape, ...difference(values, expected.values) });
  }
  const frames = difference([estimate.offsetFrames], [clip.expected.offset_frames]);
  rows.push({ what: "Offset in frames", shape: [], ...frames });
  return { images, samples, audio, estimate, rows };
}

/** @returns {boolean} Whether browser and Python agree. */
function show(model, clip, { images, samples, audio, estimate, rows }) {
  const section = document.getElementById("clip").content.cloneNode(true).firstElementChild;
  const part = (name) => section.querySelector(`[data-part="${name}"]`);
  const { colour } = model.facts.video;
  const found = inWords(estimate.offsetFrames);
  const probability = confidence(estimate, model.facts.calibration);
  const sure = probability >= LEAST_CONFIDENCE;
  section.setAttribute("aria-label", clip.name);
  section.querySelector("h2").textContent = clip.name;
  part("finding").textContent = sure ? `Audio is ${found}` : "Inconclusive";
  part("python").textContent =
    `${sure ? "" : `Best match: ${found}. `}Confidence ${probability.toFixed(2)}. ` +
    `Python: ${inWords(clip.expected.offset_frames)}, ${clip.expected.confidence.toFixed(2)}.`;

  const canvas = part("frame");
  [, canvas.height, canvas.width] = images.shape;
  canvas.setAttribute("aria-label", "The mouth as the network sees it");
  drawFrame(canvas.getContext("2d"), images, 0, colour);
  const start = (delayFrames) => () => play(canvas, images, samples.values, { colour, delayFrames });
  part("play").addEventListener("click", start(0));
  part("repaired").addEventListener("click", start(estimate.offsetFrames));
  part("repaired").disabled = !sure;

  drawStrip(part("strip"), images, colour);
  part("strip").setAttribute("aria-label", "Every fifth frame of the clip");
  drawAudio(part("audio"), audio, images.shape[0]);
  part("audio").setAttribute("aria-label", "The audio of the clip over time");
  drawCurve(part("curve"), estimate, found);
  part("curve").setAttribute("aria-label", `Mean score by offset, highest where audio is ${found}`);

  const exact = model.facts.precision === "float32";
  if (!exact) part("note").textContent = INEXACT_NOTE;
  const verdicts = rows.map((row, i) => {
    const [first, last] = [i === 0, i === rows.length - 1]; // no network has touched the first
    const limit = exact || first ? TOLERANCE * Math.max(1, row.largest) : last ? SAME_OFFSET : null;
    const agrees = limit === null ? null : row.apart <= limit;
    addRow(part("differences"), row, agrees);
    return agrees;
  });
  document.getElementById("clips").append(section);
  return !verdicts.includes(false);
}

/** A row of the table; agrees is null where nothing is asked of a difference. */
function addRow(table, { what, shape, largest, apart }, agrees) {
  const row = table.insertRow();
  row.append(Object.assign(document.createElement("th"), { scope: "row", textContent: what }));
  const put = (textContent, className) =>
    Object.assign(row.insertCell(), { textContent, className });
  put(shape.join(" × "), "shape");
  put(largest.toPrecision(3), "number");
  put(Number.isFinite(apart) ? apart.toExponential(1) : "not alike", "number");
  if (agrees === null) put("", "");
  else put(agrees ? "✓ same" : "✗ different", agrees ? "same" : "different");
}

function showFacts(facts) {
  const bytes = Object.values(facts.parts).reduce((sum, { bytes }) => sum + bytes, 0);
  const list = document.getElementById("facts");
  const told = {
    Network: facts.backbone,
    Weights: facts.weights.replace(/ ?sha256:(\w{8})\w*/, ", $1…"),
    Format: `${facts.format}, ${facts.precision}`,
    Size: `${(bytes / 1e6).toFixed(1)} MB`,
    "Exported by": `synctool ${facts.synctool}`,
    Licence: facts.licence,
  };
  for (const [name, value] of Object.entries(told)) {
    const entry = document.createElement("div");
    entry.append(
      Object.assign(document.createElement("dt"), { textContent: name }),
      Object.assign(document.createElement("dd"), { textContent: value }),
    );
    list.append(entry);
  }
  list.hidden = false;
}

function inWords(offsetFrames) {
  const ms = Math.round(offsetFrames * MS_PER_FRAME);
  if (ms === 0) return "level with the video";
  return ms > 0 ? `${ms} ms ahead of the video` : `${-ms} ms behind the video`;
}

/**
 * The largest of the expected numbers, and how far the others are apart from them at most: infinitely
 * where the lengths differ, or where only one of two is a number.
 */
function difference(values, expected) {
  let [largest, apart] = [0, values.length === expected.length ? 0 : Infinity];
  for (let i = 0; i < expected.length; i++) {
    const known = Number.isFinite(expected[i]);
    if (Number.isFinite(values[i]) !== known) apart = Infinity;
    if (!known) continue;
    largest = Math.max(largest, Math.abs(expected[i]));
    apart = Math.max(apart, Math.abs(values[i] - expected[i]));
  }
  return { largest, apart };
}

async function fetched(address) {
  const answer = await fetch(address, { cache: "no-cache" });
  if (!answer.ok) {
    throw new SynctoolError(
      `${address} is not there (${answer.status})`,
      "Make the inputs with: python make_inputs.py",
    );
  }
  return new Uint8Array(await answer.arrayBuffer());
}

function say(state, text) {
  document.documentElement.dataset.state = state;
  document.getElementById("status").textContent = text;
}
