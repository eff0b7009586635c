// Drawings of what a network is given and answers. Charts take their colours from the style sheet.

const STRIP_STEP = 5;
const STEP_SAMPLES = 160;
const SVG = "http://www.w3.org/2000/svg";
/** Colours from quiet to loud, readable on light and dark pages. */
const RAMP = [[13, 18, 40], [31, 61, 122], [40, 125, 142], [122, 196, 108], [250, 236, 140]];

/**
 * @param {CanvasRenderingContext2D} context
 * @param {{values: Uint8Array, shape: number[]}} images [T, S, S] or [T, S, S, 3].
 * @param {number} t Which one.
 * @param {string} colour gray, rgb or bgr.
 */
export function drawFrame(context, images, t, colour) {
  const [, size, , channels = 1] = images.shape;
  const image = context.createImageData(size, size);
  for (let p = 0; p < size * size; p++) {
    for (let c = 0; c < 3; c++) {
      const source = channels === 1 ? 0 : colour === "bgr" ? 2 - c : c;
      image.data[4 * p + c] = images.values[(t * size * size + p) * channels + source];
    }
    image.data[4 * p + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** Every fifth frame, side by side. */
export function drawStrip(canvas, images, colour) {
  const [frames, size] = images.shape;
  const count = Math.ceil(frames / STRIP_STEP);
  canvas.width = count * size;
  canvas.height = size;
  const context = canvas.getContext("2d");
  const one = new OffscreenCanvas(size, size);
  for (let i = 0; i < count; i++) {
    drawFrame(one.getContext("2d"), images, i * STRIP_STEP, colour);
    context.drawImage(one, i * size, 0);
  }
}

/**
 * Audio features over time, low bands below; of a waveform, how loud it is.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {{values: Float32Array, shape: number[]}} audio [1, 1, bands, 4T] or [1, 640 T].
 * @param {number} frames How many frames the chart is as wide as.
 */
export function drawAudio(canvas, audio, frames) {
  const wave = audio.shape.length === 2;
  const [bands, steps] = wave ? [1, audio.shape[1] / STEP_SAMPLES] : audio.shape.slice(2);
  const loudness = (x) => {
    const samples = audio.values.subarray(x * STEP_SAMPLES, (x + 1) * STEP_SAMPLES);
    return Math.max(...samples.map(Math.abs));
  };
  canvas.width = 4 * frames;
  canvas.height = bands;
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, bands);
  for (let x = 0; x < Math.min(canvas.width, steps); x++) {
    for (let band = 0; band < bands; band++) {
      const value = wave ? loudness(x) : 0.5 + audio.values[band * steps + x] / 5;
      image.data.set(colourOf(value), 4 * ((bands - 1 - band) * canvas.width + x));
    }
  }
  context.putImageData(image, 0, 0);
}

/**
 * Mean score by offset, with its top.
 *
 * @param {SVGElement} svg 460 by 190.
 * @param {{curve: Float64Array, offsetFrames: number}} estimate
 * @param {string} label What is written at the top.
 */
export function drawCurve(svg, estimate, label) {
  const k = (estimate.curve.length - 1) / 2;
  const known = estimate.curve.filter(Number.isFinite);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const x = (offset) => 14 + (432 * (offset + k)) / (2 * k);
  const y = (value) => 142 - (112 * (value - low)) / (high - low || 1);
  const put = (name, facts, text = "") => {
    const element = document.createElementNS(SVG, name);
    Object.entries(facts).forEach(([key, value]) => element.setAttribute(key, value));
    element.textContent = text;
    svg.append(element);
  };
  svg.replaceChildren();
  put("line", { class: "axis", x1: x(-k), x2: x(k), y1: 150, y2: 150 });
  for (let offset = -k + (k % 5); offset <= k; offset += 5) {
    put("line", { class: "axis", x1: x(offset), x2: x(offset), y1: 150, y2: 155 });
    const text = offset < 0 ? `−${-offset}` : offset;
    put("text", { x: x(offset), y: 168, "text-anchor": "middle" }, text);
  }
  put("text", { x: x(-k) - 10, y: 186 }, "← audio behind");
  put("text", { x: x(0), y: 186, "text-anchor": "middle" }, "frames of 40 ms");
  put("text", { x: x(k) + 10, y: 186, "text-anchor": "end" }, "audio ahead →");
  const top = x(estimate.offsetFrames);
  put("line", { class: "best", x1: top, x2: top, y1: 24, y2: 150 });
  const anchor = estimate.offsetFrames > k / 2 ? "end" : estimate.offsetFrames < -k / 2 ? "start" : "middle";
  put("text", { class: "best-label", x: top, y: 16, "text-anchor": anchor }, label);
  let path = "";
  estimate.curve.forEach((value, row) => {
    if (!Number.isFinite(value)) return;
    const begins = !path || !Number.isFinite(estimate.curve[row - 1]);
    path += `${begins ? "M" : "L"}${x(row - k).toFixed(1)} ${y(value).toFixed(1)}`;
  });
  put("path", { class: "curve", d: path });
}

function colourOf(value) {
  const place = Math.min(Math.max(value, 0), 0.9999) * (RAMP.length - 1);
  const [a, b] = [RAMP[Math.floor(place)], RAMP[Math.floor(place) + 1]];
  return [...a.map((x, i) => x + (b[i] - x) * (place % 1)), 255];
}
