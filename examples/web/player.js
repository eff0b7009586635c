// Plays frames with their audio, as far apart as they are or repaired.

import { drawFrame } from "./charts.js";
import { AUDIO_HZ } from "./features.js";

const FPS = 25;
let context = null;
let stop = () => {};

/**
 * Play a clip; what plays already ends.
 *
 * @param {HTMLCanvasElement} canvas As large as a frame.
 * @param {{values: Uint8Array, shape: number[]}} images
 * @param {Int16Array} samples Mono, 16 kHz.
 * @param {{colour: string, delayFrames?: number}} options The order of colours, and how much later the
 *   audio is played than it was recorded.
 */
export async function play(canvas, images, samples, { colour, delayFrames = 0 }) {
  stop();
  context ??= new AudioContext();
  await context.resume();
  const buffer = context.createBuffer(1, samples.length, AUDIO_HZ);
  buffer.copyToChannel(Float32Array.from(samples, (x) => x / 32768), 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  const first = context.currentTime + 0.1;
  const delay = delayFrames / FPS;
  source.start(first + Math.max(delay, 0), Math.max(-delay, 0));
  const drawing = canvas.getContext("2d");
  let ended = false;
  stop = () => {
    ended = true;
    source.stop();
  };
  const draw = () => {
    const t = Math.floor((context.currentTime - (context.outputLatency ?? 0) - first) * FPS);
    if (ended || t >= images.shape[0]) return;
    if (t >= 0) drawFrame(drawing, images, t, colour);
    requestAnimationFrame(draw);
  };
  draw();
}
