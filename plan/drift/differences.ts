import { z } from "zod";
import type { DeclaredNetwork } from "./declared.ts";
import { nameOf, networkType } from "./resources.ts";

/** A resource that Pulumi itself sees as changed: what `pulumi refresh` would write into the state. */
export interface Difference {
  readonly urn: string;
  readonly type: string;
  /** Last part of the URN. */
  readonly name: string;
  readonly isGone: boolean;
  /** Properties with another value. */
  readonly properties: readonly {
    readonly name: string;
    readonly expected: unknown;
    readonly found: unknown;
    readonly replaces: boolean;
  }[];
}

const stateSchema = z.object({ type: z.string(), outputs: z.record(z.string(), z.unknown()).default({}) });
const previewSchema = z.object({
  steps: z.array(
    z.object({
      op: z.string(),
      urn: z.string(),
      oldState: stateSchema.nullish(),
      newState: stateSchema.nullish(),
      detailedDiff: z.record(z.string(), z.object({ kind: z.string() })).nullish(),
    }),
  ),
});

/**
 * What `pulumi refresh --preview-only --json` found. A step `refresh` is a resource as the state has it; `delete` is one that is gone.
 * @throws {z.ZodError} if it is not such a document
 * @see pkg/engine/lifecycletest of pulumi 3.259.0: refresh steps report their result as `update`, `delete` or `same`
 */
export function parseDifferences(text: string): Difference[] {
  return previewSchema.parse(JSON.parse(text)).steps.flatMap(({ op, urn, oldState, newState, detailedDiff }) => {
    if (op !== "delete" && op !== "update") return [];
    const properties = Object.entries(detailedDiff ?? {}).map(([path, { kind }]) => {
      const name = path.split(/[.[]/)[0] ?? path;
      return { name, expected: oldState?.outputs[name], found: newState?.outputs[name], replaces: kind.endsWith("-replace") };
    });
    return [{ urn, type: oldState?.type ?? "", name: nameOf(urn), isGone: op === "delete", properties: firstOfEach(properties) }];
  });
}

/** The same for networks that are not among those of the host: Pulumi's Docker provider waits two seconds before it looks at one, in every check. */
export const goneNetworks = (declared: readonly DeclaredNetwork[], onHost: ReadonlySet<string>): Difference[] =>
  declared
    .filter(({ id }) => !onHost.has(id))
    .map(({ urn }) => ({ urn, type: networkType, name: nameOf(urn), isGone: true, properties: [] }));

function firstOfEach<T extends { readonly name: string }>(items: readonly T[]): T[] {
  return items.filter(({ name }, index) => items.findIndex((item) => item.name === name) === index);
}
