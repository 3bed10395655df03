import { ConfigError, show, type ConfigIssue } from "./errors.ts";
import { parseEnvFile, type EnvComment, type EnvEntry } from "./env-file.ts";
import { flagSpecs, writtenOutFlags } from "./flags.ts";
import { nearest } from "./nearest.ts";
import { flagRuleIssues } from "./profile-rules.ts";
import { refusalOf } from "./refused-flags.ts";

/** One way to serve one model: image, model files and flags of llama-server, each flag deliberate and written out. */
export interface Profile {
  /** File name without `llama-cpp-` and `.env`, e.g. `s005-c7-q4km-partial24`. */
  readonly id: string;
  /** Key of `configs/images.yaml`. */
  readonly image: string;
  /** Key of `configs/models.yaml`. */
  readonly model: string;
  /** Key of `configs/models.yaml`: the vision encoder's file. */
  readonly mmproj?: string;
  /** Key of `configs/models.yaml`: the draft model of speculative decoding. */
  readonly draft?: string;
  /** Key of `configs/sampling.yaml`: the server's defaults for requests that don't say. */
  readonly sampling?: string;
  /** `LLAMA_ARG_*` as the server reads them: integers without sign and leading zeros, switches `on` or `off`. */
  readonly flags: Readonly<Record<string, string>>;
  /** The comment above the first entry, lines joined: what the profile is for and what was learned. */
  readonly description: string;
}

/** Keys that are not flags, and the field of `Profile` that each one fills. */
const ownKeys = { IMAGE: "image", MODEL: "model", MMPROJ: "mmproj", DRAFT_MODEL: "draft", SAMPLING: "sampling" } as const;
type OwnKey = keyof typeof ownKeys;

const requiredKeys: readonly string[] = ["IMAGE", "MODEL", ...writtenOutFlags];
const REFERENCE = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/**
 * Profile from the text of a `configs/llama-cpp-<id>.env`. Knows nothing of other files: `checkProfile` holds it against them.
 * @throws {ConfigError} with every issue of the file.
 */
export function parseProfile(text: string, { id, file }: { id: string; file: string }): Profile {
  const { entries, comments } = parseEnvFile(text, file);
  const issues: ConfigIssue[] = [];
  const fields: Partial<Record<(typeof ownKeys)[OwnKey], string>> = {};
  const flags: Record<string, string> = {};
  const report = (issue: Omit<ConfigIssue, "file">): number => issues.push({ file, ...issue });
  for (const { key, value } of entries) {
    if (Object.hasOwn(ownKeys, key)) {
      if (REFERENCE.test(value)) fields[ownKeys[key as OwnKey]] = value;
      else
        report({
          path: key,
          got: show(value, key),
          allowed: "a name in lower case (a-z, 0-9, dot, dash, underscore)",
          fix: referenceFix(key),
        });
      continue;
    }
    const flag = readFlag(key, value);
    if (typeof flag === "string") flags[key] = flag;
    else report({ path: key, ...flag });
  }
  const given = new Set(entries.map(({ key }) => key));
  for (const key of requiredKeys.filter((required) => !given.has(required))) report({ path: key, ...missing(key) });
  for (const issue of flagRuleIssues(flags, { draft: given.has("DRAFT_MODEL"), mmproj: given.has("MMPROJ") })) report(issue);
  const { image, model } = fields;
  if (issues.length > 0 || image === undefined || model === undefined) throw new ConfigError(issues);
  return { id, ...fields, image, model, flags, description: describeProfile(comments, entries) };
}

type Problem = Omit<ConfigIssue, "file" | "path">;

/** Canonical value of a flag, else what is wrong with it. */
function readFlag(key: string, value: string): string | Problem {
  const refusal = refusalOf(key);
  if (refusal !== undefined) return { got: show(value, key), allowed: refusal.reason, fix: refusal.fix };
  const spec = flagSpecs.get(key);
  if (spec === undefined) {
    const near = nearest(key, [...Object.keys(ownKeys), ...flagSpecs.keys()]);
    return {
      got: "an unknown key",
      allowed: "IMAGE, MODEL, MMPROJ, DRAFT_MODEL, SAMPLING or a flag of plan/config/flags.ts",
      fix: near === undefined ? "remove it" : `did you mean ${near}? else remove it`,
    };
  }
  const canonical = spec.value.canonical(value);
  return canonical ?? { got: show(value, key), allowed: spec.value.allowed, fix: `set ${spec.name} to an allowed value` };
}

function missing(key: string): Problem {
  const spec = flagSpecs.get(key);
  return spec === undefined
    ? { got: "nothing", allowed: "a name", fix: referenceFix(key) }
    : {
        got: "nothing",
        allowed: spec.value.allowed,
        fix: "write it out: its default decides about memory or speed, or changed between builds",
      };
}

function referenceFix(key: string): string {
  const files: Record<string, string> = { IMAGE: "images", SAMPLING: "sampling" };
  return `name an entry of configs/${files[key] ?? "models"}.yaml`;
}

function describeProfile(comments: readonly EnvComment[], entries: readonly EnvEntry[]): string {
  const end = entries[0]?.line ?? Infinity;
  return comments
    .filter(({ line }) => line < end)
    .map(({ text }) => text.trim())
    .join(" ")
    .trim();
}
