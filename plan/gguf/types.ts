/** A metadata value that the planner may need: a number, a flag, a short string or a short list of numbers and flags. */
export type GgufValue = number | boolean | string | readonly (number | boolean)[];

/** One tensor of a GGUF file. `layer` is N of `blk.N.…` and `role` the rest; outside the layers `layer` is null and `role` the whole name. */
export interface GgufTensor {
  readonly name: string;
  readonly layer: number | null;
  readonly role: string;
  /** Elements per dimension, innermost first, as the file has them; never empty. */
  readonly shape: readonly number[];
  /** ggml's type name in capitals, e.g. `Q4_K`. */
  readonly type: string;
  readonly bytes: number;
}

/** Everything that planning needs of one GGUF file; nothing of it comes from the file's name. */
export interface GgufHeader {
  /** `general.architecture`, e.g. `qwen35moe`. */
  readonly architecture: string;
  /** Where the header was read, for the reader of a plan; `reconstructed from …` where no real file was at hand. */
  readonly source: string;
  /** Size of the whole file in bytes. */
  readonly fileBytes: number;
  /** Bytes a file must have to hold every tensor that the header declares; the padding after the last one is not counted. */
  readonly requiredFileBytes: number;
  /** Tokens in the vocabulary; 0 where the file has no tokenizer (a vision projector, say). */
  readonly vocabSize: number;
  /** Part of a split model: which one of how many (`no` counts from 0), and the tensors of all parts together; null for a whole file. */
  readonly split: { readonly no: number; readonly count: number; readonly tensors: number } | null;
  /** Metadata under `<architecture>.`, without that prefix, plus `general.name` and `general.file_type` under those names. */
  readonly metadata: Readonly<Record<string, GgufValue>>;
  readonly tensors: readonly GgufTensor[];
}

/** A GGUF file that is broken, hostile, or uses what this project doesn't read. The message says where and what. */
export class GgufError extends Error {
  override readonly name = "GgufError";
}
