import { InvalidArgumentError } from "commander";

/** Reads a whole number of at least `least`, for an option of a command. */
export const wholeNumber =
  (least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least) return value;
    throw new InvalidArgumentError(`expected a whole number >= ${least}`);
  };
