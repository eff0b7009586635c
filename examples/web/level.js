// Brings speech to one level: what synctool.features.level does in Python.

const FRAME = 640;
const BLOCK = 256 * FRAME;
const HALF_LIFE_S = 60;
const RAMP = 8 * FRAME;
const [LOWEST_DB, STEP_DB] = [-85, 0.5];
const CELLS = Math.round(-LOWEST_DB / STEP_DB) + 1;
const RELATIVE_GATE_DB = 10;

/**
 * A recording at a speech level, so that its volume does not matter.
 *
 * @param {Float32Array} samples Mono, 16 kHz, in -1..1.
 * @param {number} targetDb Level to reach, in dB relative to full scale.
 * @returns {Float32Array} As long as the samples.
 */
export function normalizeLevel(samples, targetDb) {
  const out = new Float32Array(samples.length);
  const level = new SpeechLevel();
  let before;
  for (let start = 0; start < samples.length; start += BLOCK) {
    const block = samples.subarray(start, start + BLOCK);
    level.add(block);
    const gain = level.db === undefined ? 1 : 10 ** ((targetDb - level.db) / 20);
    before ??= gain;
    const ramp = Math.min(RAMP, block.length);
    for (let i = 0; i < block.length; i++) {
      const here = i < ramp ? before + ((gain - before) * i) / Math.max(ramp - 1, 1) : gain;
      out[start + i] = block[i] * here;
    }
    before = gain;
  }
  return out;
}

/** Running level of speech by the two gates of ITU-R BS.1770-4; older audio counts ever less. */
class SpeechLevel {
  constructor() {
    this.power = new Float64Array(CELLS);
    this.count = new Float64Array(CELLS);
  }

  /** Take the next samples; what is left over from whole frames counts only where there is no more. */
  add(samples) {
    const frames = Math.floor(samples.length / FRAME) || Math.min(samples.length, 1);
    if (!frames) return;
    const length = Math.min(FRAME, samples.length);
    const forget = 0.5 ** ((frames * FRAME) / 16000 / HALF_LIFE_S);
    for (let cell = 0; cell < CELLS; cell++) {
      this.power[cell] *= forget;
      this.count[cell] *= forget;
    }
    for (let t = 0; t < frames; t++) {
      let power = 0;
      for (let i = 0; i < length; i++) power += samples[t * FRAME + i] ** 2;
      power /= length;
      const db = 10 * Math.log10(power + 1e-30);
      if (db < LOWEST_DB) continue;
      const cell = Math.min(Math.floor((db - LOWEST_DB) / STEP_DB), CELLS - 1);
      this.power[cell] += power;
      this.count[cell] += 1;
    }
  }

  /** The level in dB, undefined while everything was silent. */
  get db() {
    const total = sum(this.count, 0);
    if (total < 1e-6) return undefined;
    const gateDb = 10 * Math.log10(sum(this.power, 0) / total) - RELATIVE_GATE_DB;
    const cell = Math.floor((gateDb - LOWEST_DB) / STEP_DB);
    const first = Math.min(Math.max(cell, 0), CELLS - 1);
    return 10 * Math.log10(sum(this.power, first) / sum(this.count, first));
  }
}

function sum(values, first) {
  let total = 0;
  for (let i = first; i < values.length; i++) total += values[i];
  return total;
}
