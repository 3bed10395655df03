import { mostReplicas, projectName } from "../config/stack-config.ts";
import { mostStackChars } from "../names.ts";
import { hashOf } from "../release.ts";

/** A stack's file as YAML has it: keys with the project's name, values of any shape. */
export type StackSettings = Readonly<Record<string, unknown>>;

/** What the names of all bench stacks begin with. */
const benchPrefix = "bench-";
/** Hex digits that stand for the rest of a name which is too long: two profiles of a matrix that begin alike get different stacks. */
const hashChars = 8;

/**
 * Name of the stack that a profile is benched in: the profile's id, as far as its servers' names stay host names; of a longer one the begin, and a hash of
 * the whole.
 */
export function benchStack(profile: string): string {
  const name = `${benchPrefix}${profile}`;
  const most = mostStackChars(mostReplicas);
  if (name.length <= most) return name;
  const begin = name.slice(0, most - hashChars - 1).replace(/-+$/, "");
  return `${begin}-${hashOf(profile).slice(0, hashChars)}`;
}

/** Name of the Docker volume that all bench stacks take their models from, so that each file is fetched once. */
export const benchModelsVolume = `${projectName}-bench-models`;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Settings of one bench stack: those that all share, with the profile, the folder of the models where they name none of their own, and every gate reporting
 * instead of deciding, because a slower configuration is a result here. The secret's salt and other namespaces are left out.
 */
export function stackSettings(shared: StackSettings, profile: string, modelsPath: string): StackSettings {
  const own = Object.fromEntries(Object.entries(shared).filter(([key]) => key.startsWith(`${projectName}:`)));
  const key = (name: string): string => `${projectName}:${name}`;
  const gates = own[key("gates")];
  const measuring = isObject(gates)
    ? Object.fromEntries(
        Object.entries(gates).map(([gate, settings]) => [gate, isObject(settings) ? { ...settings, dryRun: true } : settings]),
      )
    : gates;
  const models = own[key("models")];
  return {
    ...own,
    [key("profile")]: profile,
    [key("gates")]: measuring,
    [key("models")]: { path: modelsPath, ...(isObject(models) ? models : {}) },
  };
}

/** Settings as Pulumi hands them to the program: objects as JSON text. */
export function asPulumiConfig(settings: StackSettings): Record<string, string> {
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]),
  );
}
