/** Source key of numbers that are the hand-over's own. */
export const handOverSource = "hand-over";
/** Sign beside a number that a hand-over's expectations take from another source. */
export const foreignSign = "†";

/** Who states a number that came without samples. */
export interface Statement {
  /** Key of the expectations' sources. */
  readonly source: string;
  /** That source in words. */
  readonly described: string;
  /** What the source says of the number. */
  readonly note: string | null;
}

/** A number, with who states it; `stated` is absent where the samples are at hand. */
export interface StatedNumber {
  readonly value: number;
  readonly stated?: Statement;
}

/** Whether a number is another source's than the hand-over that it is shown with. */
export const isForeign = (number: StatedNumber | null | undefined): boolean =>
  number?.stated !== undefined && number.stated.source !== handOverSource;

/** The sign of a number of another source, after a space; empty for others. */
export const signOf = (...numbers: readonly (StatedNumber | null | undefined)[]): string =>
  numbers.some(isForeign) ? ` ${foreignSign}` : "";
