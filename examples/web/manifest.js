// The manifest of an exported model: synctool.json, as `synctool export` writes it.

const NAME = "synctool.export";
const VERSION = 1;
const GRAPHS = ["video", "audio", "head"];

/** What went wrong and what can be done about it, in words for people. */
export class SynctoolError extends Error {
  /**
   * @param {string} cause
   * @param {string} [remedy]
   */
  constructor(cause, remedy = "") {
    super(remedy ? `${cause}. ${remedy}` : `${cause}.`);
    this.name = "SynctoolError";
  }
}

/**
 * Make sure that these are the facts of a model that this code can run.
 *
 * @param {any} facts What stands in synctool.json.
 * @param {string} where Its address, for the message.
 * @returns {object} The same facts.
 * @throws {SynctoolError} It is no manifest, of a newer version, or of a model that needs something else.
 */
export function checkManifest(facts, where) {
  const [name, version] = String(facts?.schema).split("/");
  if (name !== NAME || !/^\d+$/.test(version ?? "")) {
    throw new SynctoolError(`${where} is not the manifest of an exported model`);
  }
  if (Number(version) > VERSION) {
    throw new SynctoolError(
      `${where} was made by a newer version of synctool (${facts.synctool ?? "unknown"})`,
      "Take the example of that version, or export the model again with this one.",
    );
  }
  if (facts.format !== "onnx") {
    throw new SynctoolError(
      `${where} is a model for ${facts.format}, and a browser runs ONNX`,
      "Export it with --format onnx.",
    );
  }
  const missing = GRAPHS.filter((graph) => !facts.parts?.[graph]);
  if (missing.length) {
    throw new SynctoolError(
      `${where} has no graph ${missing.join(", ")}`,
      "Export it with --parts video,audio,head.",
    );
  }
  for (const { file } of Object.values(facts.parts)) {
    if (typeof file !== "string" || !file || file.startsWith(".") || /[\\/:?#]/.test(file)) {
      throw new SynctoolError(`${where} is damaged: ${JSON.stringify(file)} is no file name`);
    }
  }
  return facts;
}
