// Frames and audio as networks take them: what synctool.features does in Python.

import { normalizeLevel } from "./level.js";
import { SynctoolError } from "./manifest.js";

export const AUDIO_HZ = 16000;
export const SAMPLES_PER_FRAME = 640;

const BANDS = 64;
const HOP = 160;
const WINDOW = 400;
const FFT = 512;
const MARGIN = (WINDOW - HOP) / 2;
const [LOW_HZ, HIGH_HZ] = [60, 7600];
const FLOOR = 1e-5;
const [MEAN, STD] = [-4, 3.5];
const LEVEL_DB = -20;

/** Audio inputs that can be made here, the samples that they need before and after, and their level. */
const FRONT_ENDS = {
  logmel64: {
    before: MARGIN,
    after: MARGIN,
    compute: logMel,
    shape: (n) => [1, 1, BANDS, 4 * n],
    levelDb: LEVEL_DB,
  },
  waveform16k: { before: 0, after: 0, compute: (x) => x, shape: (n) => [1, n * SAMPLES_PER_FRAME] },
};

/**
 * Audio as a network takes it.
 *
 * @param {Int16Array | Float32Array} samples Mono, 16 kHz; floats are in -1..1.
 * @param {{audio: {kind: string}, zero_frames: number}} facts The manifest.
 * @returns {{values: Float32Array, shape: number[]}} With a whole number of 25 Hz frames, the last one
 *   filled up with silence.
 * @throws {SynctoolError} The network takes features that are not made here.
 */
export function audioInput(samples, facts) {
  const front = FRONT_ENDS[facts.audio.kind];
  if (!front) {
    throw new SynctoolError(
      `this network takes ${facts.audio.kind}, which is not computed in the browser`,
      `Choose one that takes ${Object.keys(FRONT_ENDS).join(" or ")}, such as fcn-cls.`,
    );
  }
  // A network's constant error is taken out by moving the audio.
  const moved = Math.round((facts.zero_frames ?? 0) * SAMPLES_PER_FRAME);
  const frames = Math.max(0, Math.ceil((samples.length + moved) / SAMPLES_PER_FRAME));
  const padded = new Float32Array(front.before + frames * SAMPLES_PER_FRAME + front.after);
  const scale = samples instanceof Int16Array ? 1 / 32768 : 1;
  let leveled = Float32Array.from(samples, (x) => x * scale);
  if (front.levelDb !== undefined) leveled = normalizeLevel(leveled, front.levelDb);
  for (let i = Math.max(0, -moved); i < samples.length; i++) {
    padded[front.before + moved + i] = leveled[i];
  }
  return { values: front.compute(padded), shape: front.shape(frames) };
}

/**
 * Video as a network takes it.
 *
 * @param {Uint8Array | Uint8ClampedArray} images [T, S, S], or [T, S, S, 3] in the order of colours
 *   that the network takes.
 * @param {number} frames T.
 * @param {{video: object}} facts The manifest.
 * @returns {{values: Float32Array, shape: number[]}} [1, C, T, S, S].
 * @throws {SynctoolError} They have another size.
 */
export function videoInput(images, frames, facts) {
  const { size_px: size, colour, value_range: [low, high], mean, std } = facts.video;
  const given = colour === "gray" ? 1 : 3;
  const channels = Math.max(mean.length, given);
  const pixels = size * size;
  if (images.length !== frames * pixels * given) {
    throw new SynctoolError(
      `${images.length} bytes are not ${frames} ${colour} frames of ${size} px`,
    );
  }
  const values = new Float32Array(channels * frames * pixels);
  for (let c = 0; c < channels; c++) {
    const source = given === 1 ? 0 : c;
    const [middle, spread] = [mean[c] ?? mean[0], std[c] ?? std[0]];
    for (let t = 0; t < frames; t++) {
      for (let p = 0; p < pixels; p++) {
        const value = images[(t * pixels + p) * given + source] / (255 / (high - low)) + low;
        values[(c * frames + t) * pixels + p] = (value - middle) / spread;
      }
    }
  }
  return { values, shape: [1, channels, frames, size, size] };
}

/**
 * 64 log-mel bands at 100 Hz.
 *
 * @param {Float32Array} samples [120 + 160 n + 120], in -1..1.
 * @returns {Float32Array} [64, n]; column j is the window of 25 ms centred on the 10 ms step j.
 */
export function logMel(samples) {
  const steps = Math.max(0, Math.floor((samples.length - 2 * MARGIN) / HOP));
  const out = new Float32Array(BANDS * steps);
  const [real, imaginary] = [new Float64Array(FFT), new Float64Array(FFT)];
  for (let j = 0; j < steps; j++) {
    real.fill(0);
    imaginary.fill(0);
    for (let i = 0; i < WINDOW; i++) real[i] = samples[j * HOP + i] * HANN[i];
    fourier(real, imaginary);
    for (let band = 0; band < BANDS; band++) {
      const { first, weights } = FILTERS[band];
      let power = 0;
      for (let i = 0; i < weights.length; i++) {
        power += weights[i] * (real[first + i] ** 2 + imaginary[first + i] ** 2);
      }
      out[band * steps + j] = (Math.log(power + FLOOR) - MEAN) / STD;
    }
  }
  return out;
}

const HANN = Float64Array.from(
  { length: WINDOW },
  (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW),
);
const FILTERS = melFilters();

/** Triangular mel filters (O'Shaughnessy's scale): for each band the first bin and the weights. */
function melFilters() {
  const mel = (hz) => 2595 * Math.log10(1 + hz / 700);
  const step = (mel(HIGH_HZ) - mel(LOW_HZ)) / (BANDS + 1);
  const edge = (i) => 700 * (10 ** ((mel(LOW_HZ) + i * step) / 2595) - 1);
  return Array.from({ length: BANDS }, (_, band) => {
    const [low, middle, high] = [edge(band), edge(band + 1), edge(band + 2)];
    const hz = (bin) => (bin * AUDIO_HZ) / FFT;
    const first = Math.ceil((low * FFT) / AUDIO_HZ);
    const last = Math.floor((high * FFT) / AUDIO_HZ);
    const weights = [];
    for (let bin = first; bin <= last; bin++) {
      const rise = (hz(bin) - low) / (middle - low);
      const fall = (high - hz(bin)) / (high - middle);
      weights.push(Math.max(0, Math.min(rise, fall)));
    }
    return { first, weights };
  });
}

/** Fourier transform in place, by halves (Cooley and Tukey 1965). */
function fourier(real, imaginary) {
  const n = real.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [real[i], real[j]] = [real[j], real[i]];
    if (i < j) [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
  }
  for (let half = 1; half < n; half *= 2) {
    for (let k = 0; k < half; k++) {
      const [c, s] = [Math.cos((-Math.PI * k) / half), Math.sin((-Math.PI * k) / half)];
      for (let i = k; i < n; i += 2 * half) {
        const j = i + half;
        const re = real[j] * c - imaginary[j] * s;
        const im = real[j] * s + imaginary[j] * c;
        real[j] = real[i] - re;
        imaginary[j] = imaginary[i] - im;
        real[i] += re;
        imaginary[i] += im;
      }
    }
  }
}
