import type Docker from "dockerode";
import type { PerplexityInput } from "../../plan/gates/gate-input.ts";
import { runOneOff } from "./one-off.ts";

const modelsFolder = "/models";
/** Why the engine does not take a model, in its own words. */
const refusal = /error loading model: (.+)$/m;

/**
 * Whether the candidate's build knows the model: its `llama-fit-params` reads the header, the architecture and every tensor's shape, and allocates nothing. It is
 * asked while the old release still serves, on the CPU only, because the GPU is the old release's.
 * @throws {Error} with the engine's reason
 */
export async function checkModel(input: PerplexityInput, docker: Docker, signal: AbortSignal): Promise<void> {
  const { exitCode, stdout, stderr } = await runOneOff(
    docker,
    {
      host: input.host,
      image: input.imageId,
      stack: input.stack,
      command: [
        "llama-fit-params",
        "-m",
        `${modelsFolder}/${input.modelPath}`,
        "-c",
        String(input.ctxSize),
        "-ngl",
        "0",
        "--fit-print",
        "on",
      ],
      mounts: [{ source: input.modelVolume, target: modelsFolder }],
      file: { name: "none", content: Buffer.alloc(0) },
      memoryMiB: input.memoryMiB,
      cpus: input.cpus,
      gpus: [],
    },
    signal,
  );
  if (exitCode === 0) return;
  const output = `${stdout}\n${stderr}`.trim();
  const reason = refusal.exec(output)?.[1] ?? output.split("\n").slice(-3).join(" | ");
  throw new Error(`the build of the candidate's image does not take the model, so nothing was stopped: ${reason}`);
}
