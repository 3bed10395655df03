import { z } from "zod";

/** One resource of an exported state. */
const resourceSchema = z.object({
  urn: z.string(),
  type: z.string(),
  id: z.string().optional(),
  inputs: z.record(z.string(), z.unknown()).default({}),
  outputs: z.record(z.string(), z.unknown()).default({}),
  dependencies: z.array(z.string()).nullish(),
  modified: z.string().optional(),
  delete: z.boolean().optional(),
});
export type Resource = z.infer<typeof resourceSchema>;

/** What `pulumi stack export` prints, as far as this project reads it. */
export const exportSchema = z.object({
  deployment: z.object({
    manifest: z.object({ time: z.string() }),
    resources: z.array(resourceSchema).default([]),
    pending_operations: z.array(z.object({ resource: z.object({ urn: z.string() }), type: z.string() })).nullish(),
  }),
});

/** Pulumi's types of what a stack consists of. */
export const commandType = "command:local:Command";
export const containerType = "docker:index/container:Container";
export const imageType = "docker:index/image:Image";
export const networkType = "docker:index/network:Network";
const labelsSchema = z.array(z.object({ label: z.string(), value: z.string() })).default([]);
/** The last part of a URN, e.g. `promote`. */
export const nameOf = (urn: string): string => urn.slice(urn.lastIndexOf("::") + 2);

/** Labels of a Docker object. */
export const labelsOf = ({ outputs }: Resource): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries(labelsSchema.parse(outputs["labels"] ?? []).map(({ label, value }) => [label, value]));

/**
 * Commands that depend on a resource, directly or through others, but for the perplexity gate and what only waits for it: it measures image and model file in
 * a container of its own, and a server that was stopped is no reason to do that again. A state lists what is depended on first.
 */
export function commandsAfter(urn: string, all: readonly Resource[]): string[] {
  const after = new Set([urn]);
  for (const { urn: own, dependencies } of all)
    if (!nameOf(own).startsWith("perplexity-") && dependencies?.some((dependency) => after.has(dependency)) === true) after.add(own);
  return all.filter(({ type, urn: own }) => type === commandType && after.has(own)).map(({ urn: own }) => own);
}

/** The JSON that a command was given in a variable; undefined where there is no such command or variable. */
export function readInput<T>(resource: Resource | undefined, variable: string, schema: z.ZodType<T>): T | undefined {
  const environment = z.record(z.string(), z.unknown()).safeParse(resource?.outputs["environment"]).data;
  const text = environment?.[variable];
  return typeof text === "string" ? schema.parse(JSON.parse(text)) : undefined;
}
