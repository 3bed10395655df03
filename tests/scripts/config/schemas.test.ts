import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { editorSchemas } from "../../../scripts/config/schemas.ts";
import { readProjectFile } from "../../plan/config/support.ts";

// Proves that editors are shown what the programs check, as far as JSON Schema can say it: relations between keys are the programs' own.

const schemas = editorSchemas();

describe("the editor schemas", () => {
  it.each(Object.keys(schemas))("are current: %s", (name) => {
    const committed: unknown = JSON.parse(readProjectFile(`configs/schemas/${name}`));
    expect(committed, "run node scripts/config/schemas.ts").toEqual(schemas[name]);
  });

  it("are all there is in the folder", () => {
    expect(readdirSync(new URL("../../../configs/schemas/", import.meta.url)).sort()).toEqual(Object.keys(schemas).sort());
  });

  it.each(["models", "images", "sampling", "advisories"])("accept the committed file and are named in its first line: %s", (name) => {
    const text = readProjectFile(`configs/${name}.yaml`);
    expect(text.split("\n")[0]).toBe(`# yaml-language-server: $schema=schemas/${name}.json`);
    expect(z.fromJSONSchema(schemas[`${name}.json`] as z.core.JSONSchema.JSONSchema).safeParse(parse(text)).error).toBeUndefined();
  });

  it("accept the committed expectations and lists of flags", () => {
    const check = (schema: string, file: string): z.ZodError | undefined =>
      z.fromJSONSchema(schemas[schema] as z.core.JSONSchema.JSONSchema).safeParse(JSON.parse(readProjectFile(file))).error;
    expect(check("expectations.json", "configs/expectations/s005.json")).toBeUndefined();
    expect(check("capabilities.json", "configs/capabilities/b11312.json")).toBeUndefined();
  });

  it("refuse what the programs refuse: a misspelt key", () => {
    const models = z.fromJSONSchema(schemas["models.json"] as z.core.JSONSchema.JSONSchema);
    expect(models.safeParse({ m: { family: "f", license: "l", fiel: "a.gguf" } }).success).toBe(false);
  });
});
