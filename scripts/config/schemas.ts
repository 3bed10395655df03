import { join } from "node:path";
import process from "node:process";
import { z } from "zod";
import { benchmarkProtocolSchema } from "../../plan/benchmark/protocol.ts";
import { advisoriesSchema } from "../../plan/config/advisories.ts";
import { capabilitiesSchema } from "../../plan/config/capabilities.ts";
import { expectationsSchema } from "../../plan/config/expectations.ts";
import { imagesSchema } from "../../plan/config/images.ts";
import { modelsSchema } from "../../plan/config/models.ts";
import { samplingSchema } from "../../plan/config/sampling.ts";
import { questionsSchema } from "../../plan/gates/answers-questions.ts";
import { projectName, stackConfigSchema } from "../../plan/config/stack-config.ts";
import { projectDir } from "../paths.ts";
import { describeError, log } from "../program.ts";
import { writeFormattedJson } from "./formatted.ts";

type JsonSchema = Readonly<Record<string, unknown>>;

/** Schemas of the project's files for editors, by file name in `configs/schemas/`. They say what may be written, before defaults and transforms. */
export function editorSchemas(): Readonly<Record<string, JsonSchema>> {
  return {
    "advisories.json": toJsonSchema(advisoriesSchema),
    "answers.json": toJsonSchema(questionsSchema),
    "benchmark.json": toJsonSchema(benchmarkProtocolSchema),
    "capabilities.json": toJsonSchema(capabilitiesSchema),
    "expectations.json": toJsonSchema(expectationsSchema),
    "images.json": toJsonSchema(imagesSchema),
    "models.json": toJsonSchema(modelsSchema),
    "sampling.json": toJsonSchema(samplingSchema),
    "pulumi-stack.json": stackFileSchema(toJsonSchema(stackConfigSchema)),
  };
}

/** Draft 7, which the YAML language server reads best. */
const toJsonSchema = (schema: z.ZodType): JsonSchema => z.toJSONSchema(schema, { target: "draft-7", io: "input" });

/** A secret as Pulumi writes it into a stack's file; and a list of them, set one by one or as a whole. */
const secret = { type: "object", properties: { secure: { type: "string" } }, required: ["secure"], additionalProperties: false };
const secretList = { anyOf: [{ type: "array", items: secret, minItems: 1 }, secret] };

/** `Pulumi.<stack>.yaml`: the stack's keys carry the project's name; keys of other namespaces are not ours to check. */
function stackFileSchema({ $schema, properties, required }: JsonSchema): JsonSchema {
  const written = { ...(properties as Record<string, unknown>), apiKeys: secretList };
  const prefixed = Object.entries(written).map(([key, value]) => [`${projectName}:${key}`, value] as const);
  const config = {
    type: "object",
    properties: Object.fromEntries(prefixed),
    required: (required as readonly string[]).map((key) => `${projectName}:${key}`),
    // a key of ours that is not above is a mistake; any other namespace is allowed
    patternProperties: { [`^(?!${projectName}:)`]: {} },
    additionalProperties: false,
  };
  return { $schema, type: "object", properties: { config }, required: ["config"] };
}

/** Writes the schemas; run it after a change of a schema. A test says when they are not current. */
export async function writeEditorSchemas(folder = join(projectDir, "configs/schemas")): Promise<void> {
  for (const [name, schema] of Object.entries(editorSchemas())) await writeFormattedJson(join(folder, name), schema);
}

if (import.meta.main) {
  try {
    await writeEditorSchemas();
    log(`configs/schemas: ${Object.keys(editorSchemas()).join(", ")}`);
  } catch (error) {
    log(describeError(error));
    process.exitCode = 1;
  }
}
