/**
 * What a flag of llama-server takes. `canonical` gives the one spelling that the rest of the project reads; undefined: not allowed.
 * `allowed` says it in words, with the unit.
 */
export interface FlagValue {
  readonly allowed: string;
  readonly canonical: (value: string) => string | undefined;
}

/** A whole number from `min` to `max`, in `unit`; `words` are taken too (`auto`, `all`). Canonical without sign and leading zeros. */
export function integer(min: number, max: number, unit: string, words: readonly string[] = []): FlagValue {
  const range = max === Number.MAX_SAFE_INTEGER ? `>= ${min}` : `from ${min} to ${max}`;
  return {
    allowed: `an integer ${range} (${unit})${words.map((word) => ` or ${word}`).join("")}`,
    canonical: (value) => {
      if (words.includes(value)) return value;
      const number = /^-?\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
      return number >= min && number <= max ? String(number) : undefined;
    },
  };
}

/** A decimal number from `min` to `max`, with a point; no exponent. */
export function decimal(min: number, max: number, unit: string): FlagValue {
  return {
    allowed: `a number from ${min} to ${max} (${unit})`,
    canonical: (value) => {
      const number = /^-?\d{1,9}(\.\d{1,9})?$/.test(value) ? Number(value) : Number.NaN;
      return number >= min && number <= max ? String(number) : undefined;
    },
  };
}

/** One of `values`. */
export function word(...values: readonly string[]): FlagValue {
  return { allowed: values.join(", "), canonical: (value) => (values.includes(value) ? value : undefined) };
}

const truthy = ["on", "enabled", "true", "1"];
const falsey = ["off", "disabled", "false", "0"];

/**
 * On or off. Canonical `on` and `off`, which every build reads.
 * @see common/arg.cpp of llama.cpp, `is_truthy` and `is_falsey`, commit 0c1e57098bba43ac29e6e3b677cdceebdd22334f
 */
export const onOff: FlagValue = {
  allowed: "on or off",
  canonical: (value) => (truthy.includes(value) ? "on" : falsey.includes(value) ? "off" : undefined),
};

/** On, off or `auto` (llama.cpp decides). */
export const onOffAuto: FlagValue = {
  allowed: "on, off or auto",
  canonical: (value) => (value === "auto" ? value : onOff.canonical(value)),
};

/** Numbers split by commas, each from `min` on: one per device. */
export function numberList(min: number, unit: string): FlagValue {
  const one = decimal(min, 1e9, unit);
  return {
    allowed: `numbers >= ${min} (${unit}) split by commas, one per device`,
    canonical: (value) => {
      const parts = value.split(",").map((part) => one.canonical(part));
      return parts.includes(undefined) ? undefined : parts.join(",");
    },
  };
}

/** Text that `pattern` takes, as it is. */
export function text(pattern: RegExp, allowed: string): FlagValue {
  return { allowed, canonical: (value) => (pattern.test(value) ? value : undefined) };
}
