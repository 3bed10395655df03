import { z } from "zod";
import { parseJsonWith } from "./json.ts";

const option = z.strictObject({
  names: z.array(z.string().startsWith("-")).min(1).describe("Every name of the option, short and long, in the order of the help"),
  env: z
    .string()
    .regex(/^[A-Z][A-Z0-9_]*$/)
    .optional()
    .describe("Variable that sets it"),
  removed: z.literal(true).optional().describe("Still listed, but the server stops on it: the option was taken out"),
});

/** Schema of `configs/capabilities/<name>.json`: what one build of llama-server can be told. */
export const capabilitiesSchema = z.strictObject({
  ref: z
    .string()
    .min(1)
    .describe("The pin that the list was read for, as `pinnedRef` gives it: a list of another pin may lack flags or have too many"),
  build: z.string().min(1).describe("Build, as `llama-server --version` or its commit names it"),
  source: z.string().min(1).describe("How the list was read, so that anyone can read it again"),
  options: z.array(option).min(1),
});

/** What one build of llama-server can be told. */
export type Capabilities = z.output<typeof capabilitiesSchema>;
/** One option of llama-server as its help lists it. */
export type ServerOption = z.output<typeof option>;

/** Path of the list that an image of `configs/images.yaml` names. */
export const capabilitiesPath = (name: string): string => `configs/capabilities/${name}.json`;

/** Capabilities from a file's text. @throws {ConfigError} with every issue. */
export const parseCapabilities = (text: string, file: string): Capabilities =>
  parseJsonWith(capabilitiesSchema, text, { file, fix: "make it again with scripts/config/capabilities.ts" });

/** Names of one option at the start of its line: `-fa,   --flash-attn [on|off|auto]`; the value's form follows the last one. */
const NAMES = /^(?:--?[A-Za-z0-9][\w.-]*,\s+)*--?[A-Za-z0-9][\w.-]*/;

/**
 * Options from the text of `llama-server --help`: an option starts at the beginning of a line with a dash, what is indented below belongs to it.
 * @throws {Error} if the text has no `--model` with a variable: then it is another program's help, or another layout.
 */
export function parseServerHelp(text: string): ServerOption[] {
  const blocks: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (/^--?[A-Za-z0-9]/.test(line)) blocks.push(line);
    else if (/^\s+\S/.test(line) && blocks.length > 0) blocks.push(`${blocks.pop() ?? ""} ${line.trim()}`);
  }
  const options = blocks.map(parseBlock);
  if (!options.some(({ names, env }) => names.includes("--model") && env === "LLAMA_ARG_MODEL")) {
    throw new Error("no --model with LLAMA_ARG_MODEL in the text: expected what llama-server --help prints");
  }
  return options;
}

function parseBlock(block: string): ServerOption {
  const names = (NAMES.exec(block)?.[0] ?? "").split(/,\s+/);
  const env = /\(env: ([A-Z][A-Z0-9_]*)\)/.exec(block)?.[1];
  const removed = block.includes("the argument has been removed");
  return { names, ...(env === undefined ? {} : { env }), ...(removed ? { removed } : {}) };
}

/** Variables that the build reads; those of removed options are not among them, because the server stops on them. */
export const knownVariables = ({ options }: Capabilities): ReadonlySet<string> =>
  new Set(options.flatMap(({ env, removed }) => (env === undefined || removed === true ? [] : [env])));
