import type Docker from "dockerode";
import type { PerplexityInput } from "../../plan/gates/gate-input.ts";
import { describeError } from "../program.ts";
import { runOneOff, type OneOff } from "./one-off.ts";

const modelsFolder = "/models";
/** Why the engine does not take a model, in its own words. */
const refusal = /error loading model: (.+)$/m;

/**
 * Whether the candidate could be started on this host: its build knows the model, and the GPUs that it is to have can be given to a container. Both are asked
 * while the old release still serves.
 * @throws {Error} with the engine's or Docker's reason
 */
export async function checkCandidate(input: PerplexityInput, docker: Docker, signal: AbortSignal): Promise<void> {
  await checkGpus(input, docker, signal);
  await checkModel(input, docker, signal);
}

/** A tool of the candidate's image on the CPU only, because the GPU is the old release's. */
const onCpu = (input: PerplexityInput, command: OneOff["command"]): OneOff => ({
  host: input.host,
  image: input.imageId,
  stack: input.stack,
  command,
  mounts: [{ source: input.modelVolume, target: modelsFolder }],
  file: { name: "none", content: Buffer.alloc(0) },
  memoryMiB: input.memoryMiB,
  cpus: input.cpus,
  gpus: [],
});

/** The engine starts a container with GPUs only where it has their runtime and they are there; nothing is allocated on them. */
async function checkGpus(input: PerplexityInput, docker: Docker, signal: AbortSignal): Promise<void> {
  if (input.gpus.length === 0) return;
  try {
    await runOneOff(docker, { ...onCpu(input, ["true"]), gpus: input.gpus }, signal);
  } catch (error) {
    signal.throwIfAborted();
    const wanted = input.gpus.join(", ");
    throw new Error(
      `the Docker host can't give GPU ${wanted} to a container, so nothing was stopped: ${describeError(error)}; look with nvidia-smi whether it is there, install nvidia-container-toolkit and restart Docker, or name others in llm-server:device.gpus`,
    );
  }
}

/**
 * `llama-fit-params` reads the header, the architecture and every tensor's shape, and allocates nothing. `--fit-print` leaves out the search for what fits this
 * host, which is not asked here; builds before it look at GPUs only, and none is given.
 */
async function checkModel(input: PerplexityInput, docker: Docker, signal: AbortSignal): Promise<void> {
  const tool = ["llama-fit-params", "-m", `${modelsFolder}/${input.modelPath}`, "-c", String(input.ctxSize), "-ngl", "0"] as const;
  const ask = async (...more: string[]): Promise<string | undefined> => {
    const { exitCode, stdout, stderr } = await runOneOff(docker, onCpu(input, [...tool, ...more]), signal);
    return exitCode === 0 ? undefined : `${stdout}\n${stderr}`.trim();
  };
  let refused = await ask("--fit-print", "on");
  if (refused?.includes("invalid argument: --fit-print") === true) refused = await ask();
  if (refused === undefined) return;
  const reason = refusal.exec(refused)?.[1] ?? refused.split("\n").slice(-3).join(" | ");
  throw new Error(`the build of the candidate's image does not take the model, so nothing was stopped: ${reason}`);
}
