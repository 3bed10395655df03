import { GgufError } from "./types.ts";

/** Tells the caller that the header goes on past the bytes it was given; read at least `atLeastBytes` from the start and parse again. */
export class GgufNeedsMore extends Error {
  override readonly name = "GgufNeedsMore";
  readonly atLeastBytes: number;

  constructor(atLeastBytes: number) {
    super(`the header goes on past ${atLeastBytes} bytes`);
    this.atLeastBytes = atLeastBytes;
  }
}

/** Longest header that is read: some ten times the largest known one (vocabulary of 256,000 tokens, 12 MiB). */
export const MAX_HEADER_BYTES = 128 * 1024 * 1024;

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Walks the first bytes of a GGUF file. Every step first proves that what it is about to read lies inside the file, so that
 * a count or length from the file is never trusted; `where` names the field in errors.
 * @throws {GgufError} where a field ends behind the end of the file or behind {@link MAX_HEADER_BYTES}.
 * @throws {GgufNeedsMore} where it lies inside the file but outside the bytes given.
 */
export class GgufCursor {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #fileBytes: number;
  offset = 0;

  constructor(prefix: Uint8Array, fileBytes: number) {
    this.#bytes = prefix;
    this.#view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength);
    this.#fileBytes = fileBytes;
  }

  /** Bytes between here and the end of the file; an upper bound for everything that can still follow. */
  get remainingBytes(): number {
    return this.#fileBytes - this.offset;
  }

  skip(bytes: number, where: string): void {
    this.#take(bytes, where);
  }

  u8(where: string): number {
    return this.#view.getUint8(this.#take(1, where));
  }

  u32(where: string): number {
    return this.#view.getUint32(this.#take(4, where), true);
  }

  u64(where: string): bigint {
    return this.#view.getBigUint64(this.#take(8, where), true);
  }

  /** A count or length: an unsigned 64-bit number of at most `max`. */
  count(where: string, max: number): number {
    const value = this.u64(where);
    if (value > BigInt(max)) throw new GgufError(`${where}: got ${value}, allowed are at most ${max}; the header is broken or hostile`);
    return Number(value);
  }

  /** A length-prefixed UTF-8 string of at most `max` bytes. */
  string(where: string, max: number): string {
    const start = this.#take(this.count(`${where} length`, max), where);
    try {
      return decoder.decode(this.#bytes.subarray(start, this.offset));
    } catch (cause) {
      throw new GgufError(`${where}: got bytes that aren't UTF-8`, { cause });
    }
  }

  /** Passes over `count` length-prefixed strings without decoding them. A vocabulary has hundreds of thousands: nothing is allocated per string. */
  skipStrings(count: number, where: string): void {
    for (let index = 0; index < count; index += 1) {
      const at = this.#take(8, where);
      const high = this.#view.getUint32(at + 4, true);
      if (high !== 0) throw new GgufError(`${where}[${index}] length: got more than 2^32; the header is broken or hostile`);
      this.#take(this.#view.getUint32(at, true), where);
    }
  }

  /** A number of a fixed-width GGUF type; 64-bit integers above 2^53 are refused rather than rounded. */
  scalar(type: number, where: string): number | boolean {
    const at = this.#take(SCALAR_BYTES[type] ?? 0, where);
    switch (type) {
      case 0:
        return this.#view.getUint8(at);
      case 1:
        return this.#view.getInt8(at);
      case 2:
        return this.#view.getUint16(at, true);
      case 3:
        return this.#view.getInt16(at, true);
      case 4:
        return this.#view.getUint32(at, true);
      case 5:
        return this.#view.getInt32(at, true);
      case 6:
        return this.#view.getFloat32(at, true);
      case 7:
        return this.#view.getUint8(at) !== 0;
      case 10:
        return safeNumber(this.#view.getBigUint64(at, true), where);
      case 11:
        return safeNumber(this.#view.getBigInt64(at, true), where);
      case 12:
        return this.#view.getFloat64(at, true);
      default:
        throw new GgufError(`${where}: got value type ${type}, allowed are 0 to 12`);
    }
  }

  /** Moves past `bytes` and returns where they start. */
  #take(bytes: number, where: string): number {
    const start = this.offset;
    const end = start + bytes;
    if (end > this.#fileBytes) {
      throw new GgufError(`${where}: ends at byte ${end}, the file has ${this.#fileBytes}; it is truncated, or the header is broken`);
    }
    if (end > MAX_HEADER_BYTES)
      throw new GgufError(`${where}: ends at byte ${end}, allowed are headers of at most ${MAX_HEADER_BYTES} bytes`);
    if (end > this.#bytes.byteLength) throw new GgufNeedsMore(end);
    this.offset = end;
    return start;
  }
}

/** Bytes of GGUF's fixed-width value types by their number; 8 (string) and 9 (array) have none. */
export const SCALAR_BYTES: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };

function safeNumber(value: bigint, where: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
    throw new GgufError(`${where}: got ${value}, allowed are integers below 2^53`);
  }
  return Number(value);
}
