import { z } from "zod";
import type { ConfigIssue } from "./errors.ts";
import { oneOf } from "./errors.ts";
import { parseYamlWith } from "./yaml.ts";

const buildTag = z
  .string()
  .regex(/^b\d+$/, "an upstream build such as b8492")
  .transform((tag) => Number(tag.slice(1)));

const advisory = z
  .strictObject({
    title: z.string().min(1),
    severity: z.enum(["critical", "high", "medium", "low"]).describe("As the record states it"),
    from: buildTag.optional().describe("First affected build; without it, all before are affected"),
    before: buildTag.optional().describe("First build with the fix; without it, none is known and all later ones are affected"),
    when: z
      .union(
        [z.literal("always"), z.array(z.string().regex(/^(--[a-z][a-z0-9-]*|LLAMA_[A-Z0-9_]+)$/, "an option or its variable")).min(1)],
        {
          error: "always, or a list of options and variables",
        },
      )
      .describe("What exposes the server: any of these options set to something other than off, or nothing but a caller"),
    todo: z.string().min(1).describe("What to do about it, short of accepting it"),
    sources: z
      .array(z.url({ error: "an address" }))
      .min(1)
      .describe("Where range and condition are stated"),
    note: z.string().min(1).optional().describe("What the sources leave open, and how this file reads it"),
  })
  .superRefine(({ from, before }, context) => {
    if (from === undefined || before === undefined || from < before) return;
    context.addIssue({ code: "custom", path: ["before"], message: `a build after b${from}`, params: { fix: "mend the range" } });
  });

const advisoryId = z.string().regex(/^(CVE-\d{4}-\d{4,}|GHSA(-[a-z0-9]{4}){3}|[A-Z]+-\d{4}-\d+)$/, "an id such as CVE-2026-34159");

/** Schema of `configs/advisories.yaml`: known vulnerabilities of llama.cpp builds by id. */
export const advisoriesSchema = z.record(advisoryId, advisory).describe("Known vulnerabilities of llama.cpp builds, by id");

/** All advisories by id. */
export type Advisories = z.output<typeof advisoriesSchema>;

/** Advisories from the text of `configs/advisories.yaml`. @throws {ConfigError} with every issue of the file. */
export const parseAdvisories = (text: string, file = "configs/advisories.yaml"): Advisories =>
  parseYamlWith(advisoriesSchema, text, { file });

/** What `checkAdvisories` looks at. */
export interface AdvisoryFacts {
  /** Name in `configs/images.yaml`, for the message. */
  readonly image: string;
  /** Upstream's build number; undefined where nobody wrote it down, which counts as affected. */
  readonly build: number | undefined;
  /** What the server is told, by variable or option. */
  readonly flags: Readonly<Record<string, string>>;
  /** Ids that the stack config accepts. */
  readonly accepted: readonly string[];
  /** Where they are accepted: file and key. */
  readonly acceptedIn: { readonly file: string; readonly path: string };
}

/**
 * One issue for each advisory whose range holds the build, whose condition the flags meet, and that nobody accepted, and one for each accepted id
 * that no advisory has. Empty: nothing stands against this build with these flags.
 */
export function checkAdvisories(advisories: Advisories, facts: AdvisoryFacts): ConfigIssue[] {
  const { image, build, accepted, acceptedIn } = facts;
  const unknown = accepted.flatMap((id) =>
    Object.hasOwn(advisories, id)
      ? []
      : [{ ...acceptedIn, got: `"${id}"`, allowed: `ids of configs/advisories.yaml: ${oneOf(Object.keys(advisories))}`, fix: "remove it" }],
  );
  const met = Object.entries(advisories).flatMap(([id, entry]) => {
    const exposure = exposureOf(entry, facts.flags);
    if (accepted.includes(id) || exposure === undefined || !isAffected(entry, build)) return [];
    const is = build === undefined ? "a build of unknown number" : `b${build}`;
    const until = entry.before === undefined ? "none of which is known" : `b${entry.before} or later`;
    return [
      {
        file: "configs/images.yaml",
        path: image,
        got: `${is} ${exposure}: ${id}, ${entry.severity}, ${entry.title}`,
        allowed: `a build with the fix (${until})`,
        fix: `${entry.todo}; or accept ${id} in ${acceptedIn.file} under ${acceptedIn.path}`,
      },
    ];
  });
  return [...unknown, ...met];
}

const offValues = new Set(["", "off", "false", "0", "disabled", "-1", "none"]);

/** How the server is exposed, in words; undefined when it is not. */
function exposureOf({ when }: Advisories[string], flags: Readonly<Record<string, string>>): string | undefined {
  if (when === "always") return "open to its callers";
  const option = when.find((name) => flags[name] !== undefined && !offValues.has(flags[name]));
  return option === undefined ? undefined : `with ${option}=${flags[option] ?? ""}`;
}

function isAffected({ from, before }: Advisories[string], build: number | undefined): boolean {
  return build === undefined || ((from === undefined || build >= from) && (before === undefined || build < before));
}
