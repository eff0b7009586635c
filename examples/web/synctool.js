// An exported network in a browser: frames and audio to embeddings, embeddings to an offset.
//
//   const model = await loadModel("model");
//   const videoEmbeddings = await encodeVideo(model, images, frames);
//   const audioEmbeddings = await encodeAudio(model, samples);
//   const volume = await score(model, audioEmbeddings, videoEmbeddings, { maxOffset: 15 });
//   const estimate = estimateOffset(volume);

import * as ort from "onnxruntime-web/wasm";

import { videoInput, audioInput } from "./features.js";
import { SynctoolError, checkManifest } from "./manifest.js";
import { scoreVolume, audioWindow } from "./offset.js";

export { AUDIO_HZ, SAMPLES_PER_FRAME, videoInput, audioInput } from "./features.js";
export { SynctoolError } from "./manifest.js";
export { LEAST_CONFIDENCE, confidence, estimateOffset } from "./offset.js";

// One thread needs no special headers from the server.
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

/**
 * Load an exported model.
 *
 * @param {string | URL} folder Address of the folder that `synctool export --format onnx` wrote.
 * @returns {Promise<{facts: object, video: object, audio: object, head: object}>} What the manifest says,
 *   and the graphs.
 * @throws {SynctoolError} It is not there, damaged, or of a newer version.
 */
export async function loadModel(folder) {
  const base = new URL(`${String(folder).replace(/\/$/, "")}/`, document.baseURI);
  const where = new URL("synctool.json", base);
  const remedy = "Make it with: synctool export --format onnx --out FOLDER.";
  const text = new TextDecoder().decode(await fetched(where, remedy));
  let facts;
  try {
    facts = JSON.parse(text);
  } catch (error) {
    throw new SynctoolError(`${where} is damaged: ${error.message}`, remedy);
  }
  checkManifest(facts, String(where));
  const model = { facts };
  for (const name of ["video", "audio", "head"]) {
    const { file, sha256 } = facts.parts[name];
    const bytes = await fetched(new URL(file, base), "Export the model again.");
    await checkDigest(bytes, sha256, file);
    try {
      model[name] = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
    } catch (error) {
      throw new SynctoolError(`${file} cannot be run: ${error.message}`);
    }
  }
  return model;
}

/**
 * Embeddings of video.
 *
 * @param {object} model
 * @param {Uint8Array | Uint8ClampedArray} images Crops as the network takes them, see videoInput.
 * @param {number} frames T.
 * @returns {Promise<{values: Float32Array, size: number, frames: number}>} [D, T].
 */
export function encodeVideo(model, images, frames) {
  return encoded(model, "video", videoInput(images, frames, model.facts));
}

/**
 * Embeddings of audio.
 *
 * @param {object} model
 * @param {Int16Array | Float32Array} samples Mono, 16 kHz, beginning with video frame 0.
 * @returns {Promise<{values: Float32Array, size: number, frames: number}>} [D, T_audio].
 */
export function encodeAudio(model, samples) {
  return encoded(model, "audio", audioInput(samples, model.facts));
}

/**
 * Scores of all candidate offsets for every frame.
 *
 * @param {object} model
 * @param {{values: Float32Array, size: number, frames: number}} audioEmbeddings Embeddings of the audio.
 * @param {{values: Float32Array, size: number, frames: number}} videoEmbeddings Embeddings of the video.
 * @param {{maxOffset: number, audioLead?: number}} options The range -K..K, and the index in audioEmbeddings of the
 *   audio that belongs to frame 0.
 * @returns {Promise<{values: Float32Array, rows: number, frames: number}>} [2K+1, T]; row r is offset r - K,
 *   higher is better, NaN outside the audio.
 */
export async function score(model, audioEmbeddings, videoEmbeddings, { maxOffset, audioLead = 0 }) {
  const rows = maxOffset + model.facts.margin;
  const window = audioWindow(audioEmbeddings, videoEmbeddings.frames, { rows, audioLead });
  const [scores] = await run(model.head, [
    { values: window.audio, shape: [1, audioEmbeddings.size, window.length] },
    { values: window.inside, shape: [1, window.length] },
    { values: videoEmbeddings.values, shape: [1, videoEmbeddings.size, videoEmbeddings.frames] },
  ]);
  return scoreVolume(scores.data, scores.dims[1]);
}

async function encoded(model, graph, input) {
  if (!input.values.length) {
    return { values: input.values, size: model.facts.embedding_size, frames: 0 };
  }
  const [features] = await run(model[graph], [input]);
  return { values: features.data, size: features.dims[1], frames: features.dims[2] };
}

/** Run a graph; inputs and outputs in the order in which it names them. */
async function run(graph, inputs) {
  const feeds = inputs.map(({ values, shape }, i) => [
    graph.inputNames[i],
    new ort.Tensor("float32", values, shape),
  ]);
  const outputs = await graph.run(Object.fromEntries(feeds));
  return graph.outputNames.map((name) => outputs[name]);
}

async function fetched(address, remedy) {
  let answer;
  try {
    answer = await fetch(address, { cache: "no-cache" });
  } catch (error) {
    throw new SynctoolError(`${address} cannot be fetched: ${error.message}`, remedy);
  }
  if (!answer.ok) throw new SynctoolError(`${address} is not there (${answer.status})`, remedy);
  return new Uint8Array(await answer.arrayBuffer());
}

/** Browsers compute checksums for pages from this computer or over HTTPS only. */
async function checkDigest(bytes, sha256, file) {
  if (!globalThis.crypto?.subtle) return;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const text = Array.from(digest, (x) => x.toString(16).padStart(2, "0")).join("");
  if (text !== sha256) {
    throw new SynctoolError(
      `${file} is not the file that was exported: its checksum differs`,
      "Export the model again.",
    );
  }
}
