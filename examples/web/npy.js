// Arrays of numpy (.npy, version 1), little-endian and in C order.

import { SynctoolError } from "./manifest.js";

const KINDS = {
  "|u1": Uint8Array,
  "<i2": Int16Array,
  "<f4": Float32Array,
  "<f8": Float64Array,
};

/**
 * @param {ArrayBuffer} buffer The file.
 * @param {string} name Its name, for the message.
 * @returns {{values: Uint8Array | Int16Array | Float32Array | Float64Array, shape: number[]}}
 * @throws {SynctoolError} It is no such file.
 */
export function readNpy(buffer, name) {
  const bytes = new Uint8Array(buffer);
  const text = (from, to) => String.fromCharCode(...bytes.subarray(from, to));
  if (text(0, 6) !== "\x93NUMPY" || bytes[6] !== 1) {
    throw new SynctoolError(`${name} is no array of numpy`, "Write it with numpy.save.");
  }
  const start = 10 + bytes[8] + 256 * bytes[9];
  const header = text(10, start);
  const kind = KINDS[/'descr': '([^']*)'/.exec(header)?.[1]];
  const shape = /'shape': \(([^)]*)\)/.exec(header)?.[1].split(",").filter((x) => x.trim()).map(Number);
  if (!kind || !shape || !header.includes("'fortran_order': False")) {
    throw new SynctoolError(`${name} is an array of a kind that is not read here: ${header.trim()}`);
  }
  const count = shape.reduce((a, b) => a * b, 1);
  const data = buffer.slice(start);
  if (data.byteLength !== count * kind.BYTES_PER_ELEMENT) {
    throw new SynctoolError(`${name} is cut off, or has more than it says`);
  }
  return { values: new kind(data), shape };
}
