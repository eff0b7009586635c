// From embeddings to an offset: the windows that a head's graph takes, and what synctool.scoring makes
// of the scores that it gives.

/** With less confidence there is no answer. */
export const LEAST_CONFIDENCE = 0.5;

const NOTHING = -1e29; // graphs give -1e30 outside the audio
const MIN_SHARE = 0.4; // a row counts with this share of the values of the best-covered one
const RIVAL_DISTANCE = 2; // rows nearer to the peak share its evidence
const CORRELATION_FRAMES = 5; // so many frames are about one independent observation
const LEAST_SPREAD = 1e-3;
const EDGE_CONFIDENCE = 0.3;
const LEAST_HEIGHT = 1e-3;
const STILL_PRIOR = 0.25;
const MOST_FRAMES = 1500;
// Prior probability that the audio is not this face's.
const FOREIGN_PRIOR = 0.05;
const UNCALIBRATED = { intercept: -3.5, log1p_t_stat: 3.2, margin: 0, log_frames: 0.1, temperature: 1 };

/**
 * The audio frames that video frames are compared with.
 *
 * @param {{values: Float32Array, size: number, frames: number}} audioEmbeddings Embeddings of the audio, [D, T_audio].
 * @param {number} frames T, the number of video frames.
 * @param {{rows: number, audioLead?: number}} options The largest offset that the head looks at, and the
 *   index in audioEmbeddings of the audio that belongs to frame 0.
 * @returns {{audio: Float32Array, inside: Float32Array, length: number}} Audio [D, T + 2 rows], zero
 *   where there are none, and 1 where there are.
 */
export function audioWindow(audioEmbeddings, frames, { rows, audioLead = 0 }) {
  const length = frames + 2 * rows;
  const audio = new Float32Array(audioEmbeddings.size * length);
  const inside = new Float32Array(length);
  const first = audioLead - rows;
  const low = Math.max(first, 0);
  const high = Math.min(first + length, audioEmbeddings.frames);
  if (low < high) {
    inside.fill(1, low - first, high - first);
    for (let d = 0; d < audioEmbeddings.size; d++) {
      const row = audioEmbeddings.values.subarray(d * audioEmbeddings.frames + low, d * audioEmbeddings.frames + high);
      audio.set(row, d * length + low - first);
    }
  }
  return { audio, inside, length };
}

/**
 * Scores of a head's graph, NaN where there is no audio.
 *
 * @param {Float32Array} values [2K+1, T].
 * @param {number} rows 2K+1.
 * @returns {{values: Float32Array, rows: number, frames: number}}
 */
export function scoreVolume(values, rows) {
  return {
    values: values.map((score) => (score > NOTHING ? score : NaN)),
    rows,
    frames: values.length / rows,
  };
}

/**
 * The one offset that suits a whole stretch best.
 *
 * @param {{values: Float32Array, rows: number, frames: number}} volume Scores, NaN where there is none.
 * @returns {{offsetFrames: number, row: number, margin: number, tStat: number, height: number,
 *   level: number, frames: number, atEdge: boolean, curve: Float64Array} | null} offsetFrames > 0: the audio is ahead of the video.
 *   null where there is not one score.
 */
export function estimateOffset(volume) {
  const { curve, counts } = curveWithoutLevels(volume);
  const most = Math.max(...counts);
  const searched = [...counts.keys()].filter((r) => counts[r] > 0 && counts[r] >= MIN_SHARE * most);
  if (!searched.length) return null;
  const kept = curve.map((value, r) => (searched.includes(r) ? value : NaN));
  const row = highest(kept);
  return {
    offsetFrames: row - Math.floor(volume.rows / 2) + vertex(kept[row - 1], kept[row], kept[row + 1]),
    row,
    ...standOut(volume, kept, row),
    height: kept[row],
    level: meanOfRow(volume, row),
    frames: counts[row],
    atEdge: row === searched[0] || row === searched.at(-1),
    curve: kept,
  };
}

/**
 * Probability that an offset is right within a frame.
 *
 * @param {{tStat: number, margin: number, height: number, level: number, frames: number, atEdge: boolean}} estimate
 * @param {object | null} calibration Coefficients, as in the manifest.
 * @returns {number} In 0..1.
 */
export function confidence(estimate, calibration) {
  const k = calibration ?? UNCALIBRATED;
  const right = sigmoid(logOdds(estimate, k) / k.temperature);
  const belongs = k.belonging ? sigmoid(logOdds(estimate, k.belonging) / k.temperature - logit(FOREIGN_PRIOR)) : 1;
  const distinct = k.distinct ? sigmoid(distinctLogOdds(estimate, k.distinct) / k.temperature - logit(STILL_PRIOR)) : 1;
  const probability = right * belongs * distinct;
  return estimate.atEdge ? Math.min(probability, EDGE_CONFIDENCE) : probability;
}

function meanOfRow(volume, row) {
  const values = volume.values.subarray(row * volume.frames, (row + 1) * volume.frames).filter(Number.isFinite);
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function logOdds(estimate, k) {
  const frames = Math.min(Math.max(estimate.frames, 1), MOST_FRAMES);
  return (
    k.intercept +
    k.log1p_t_stat * Math.log1p(Math.max(estimate.tStat, 0)) +
    k.margin * estimate.margin +
    k.log_frames * Math.log(frames) +
    (k.height ?? 0) * estimate.height +
    (k.level ?? 0) * estimate.level
  );
}

/** A still face's peak stands out ever less, the longer it is. */
function distinctLogOdds(estimate, k) {
  const frames = Math.min(Math.max(estimate.frames, 1), MOST_FRAMES);
  return k.intercept + k.log_height * Math.log(Math.max(estimate.height, LEAST_HEIGHT)) + k.log_frames * Math.log(frames);
}

function logit(p) {
  return Math.log(p / (1 - p));
}

function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

/**
 * What each row scores above the others, free of what each frame scores on its own: the least-squares fit
 * of score[r, t] = row[r] + frame[t], as not every row has a value in every frame.
 */
function curveWithoutLevels({ values, rows, frames }) {
  const gain = new Float64Array(rows);
  const counts = new Array(rows).fill(0);
  const matrix = Array.from({ length: rows }, () => new Float64Array(rows));
  for (let t = 0; t < frames; t++) {
    const here = [];
    let sum = 0;
    for (let r = 0; r < rows; r++) {
      if (Number.isFinite(values[r * frames + t])) {
        here.push(r);
        sum += values[r * frames + t];
      }
    }
    for (const r of here) {
      gain[r] += values[r * frames + t] - sum / here.length;
      counts[r] += 1;
      for (const other of here) matrix[r][other] -= 1 / here.length;
    }
  }
  // Only differences between rows are determined: the ridge takes the smallest solution.
  const ridge = 1e-9 * (Math.max(...counts) + 1);
  for (let r = 0; r < rows; r++) matrix[r][r] += counts[r] + ridge;
  const known = counts.map((count) => count > 0);
  const solved = solve(matrix, centred(gain, known));
  return { curve: centred(solved, known).map((x, r) => (known[r] ? x : NaN)), counts };
}

/** Values less the mean of those that count. */
function centred(values, counting) {
  const chosen = values.filter((_, i) => counting[i]);
  const mean = chosen.reduce((a, b) => a + b, 0) / Math.max(chosen.length, 1);
  return values.map((x, i) => (counting[i] ? x - mean : x));
}

/** Solution of a symmetric positive system, by Gauss's elimination; both are used up. */
function solve(matrix, right) {
  const n = right.length;
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) {
      const factor = matrix[j][i] / matrix[i][i];
      if (factor === 0) continue;
      for (let k = i; k < n; k++) matrix[j][k] -= factor * matrix[i][k];
      right[j] -= factor * right[i];
    }
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) right[i] -= matrix[i][k] * right[k];
    right[i] /= matrix[i][i];
  }
  return right;
}

/** Index of the highest value, NaN aside; -1 where there is none. */
function highest(values) {
  return values.reduce((best, x, i) => (x > (values[best] ?? -Infinity) ? i : best), -1);
}

/** Where the parabola through three neighbours has its top, from the middle one. */
function vertex(left, peak, right) {
  const bend = left - 2 * peak + right;
  if (!(bend < 0)) return 0;
  return Math.min(0.5, Math.max(-0.5, (0.5 * (left - right)) / bend));
}

/** How far a peak stands out from its best rival, frame by frame. */
function standOut({ values, frames }, curve, row) {
  const rivals = curve.map((x, r) => (Math.abs(r - row) < RIVAL_DISTANCE ? NaN : x));
  const rival = highest(rivals);
  if (rival < 0) return { margin: 0, tStat: 0 };
  const differences = [];
  for (let t = 0; t < frames; t++) {
    const difference = values[row * frames + t] - values[rival * frames + t];
    if (Number.isFinite(difference)) differences.push(difference);
  }
  const n = differences.length;
  if (n < 2) return { margin: curve[row] - curve[rival], tStat: 0 };
  const margin = differences.reduce((a, b) => a + b, 0) / n;
  const variance = differences.reduce((a, b) => a + (b - margin) ** 2, 0) / (n - 1);
  const spread = Math.max(Math.sqrt(variance), LEAST_SPREAD * Math.abs(margin));
  const independent = Math.max(n / CORRELATION_FRAMES, 1);
  return { margin, tStat: spread > 0 ? (margin * Math.sqrt(independent)) / spread : 0 };
}
