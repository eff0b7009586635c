// Calls functions of examples/web for a Python test: JSON in, JSON out.
// {"module": path, "name": ..., "calls": [[arguments], ...]}; {"float32": [...]} and the like are typed
// arrays, null in them is NaN.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const KINDS = {
  uint8: Uint8Array, int16: Int16Array, float32: Float32Array, float64: Float64Array,
};

const taken = (_, value) => {
  const [[kind, values] = []] = Object.entries(value ?? {});
  return KINDS[kind] ? KINDS[kind].from(values, (x) => x ?? NaN) : value;
};
const given = (_, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);

const { module, name, calls } = JSON.parse(readFileSync(0, "utf8"), taken);
const functions = await import(pathToFileURL(module));
const answers = calls.map((args) => {
  try {
    return { value: functions[name](...args) };
  } catch (error) {
    if (error.name !== "SynctoolError") throw error;
    return { value: { refused: error.message } };
  }
});
console.log(JSON.stringify(answers, given));
