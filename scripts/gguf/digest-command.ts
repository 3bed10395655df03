import { headerDigestPath } from "../../plan/memory/stack.ts";
import { join } from "node:path";
import { Command } from "commander";
import { planHeaderDigest } from "../../plan/gguf/digest.ts";
import { checkTensorExtents } from "../../plan/gguf/extents.ts";
import { writeFormattedJson } from "../config/formatted.ts";
import { projectDir } from "../paths.ts";
import { log } from "../program.ts";
import { readGgufHeader } from "./source.ts";

/** Reads the header at a path or URL, checks that the file holds its tensors, and writes the digest for that model; answers with its path. */
export async function writeHeaderDigest(model: string, location: string, source: string, folder: string): Promise<string> {
  const header = await readGgufHeader(location);
  checkTensorExtents(header, header.fileBytes);
  const path = join(folder, headerDigestPath(model));
  await writeFormattedJson(path, planHeaderDigest({ ...header, source }));
  return path;
}

/** `header MODEL LOCATION`: records what the planner needs of a model's file in `configs/headers/`, to be committed. */
export function headerCommand(): Command {
  return new Command("header")
    .description("Write a model's header digest (configs/headers/MODEL.json) from its GGUF file, local or by ranges from a URL.")
    .argument("<model>", "id in configs/models.yaml")
    .argument("<location>", "path or http(s) URL of the GGUF file; the first part of a split model")
    .option("--source <text>", "where the file came from, for the digest; default: the location without its folder")
    .action(async (model: string, location: string, options: { source?: string }) => {
      const source = options.source ?? location.slice(location.lastIndexOf("/") + 1);
      log(`header: ${await writeHeaderDigest(model, location, source, projectDir)}`);
    });
}
