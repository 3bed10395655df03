import { readPerplexityOutput, UnreadableOutput } from "../../plan/gates/perplexity-gate.ts";
import type { PerplexityReading } from "../../plan/gates/perplexity-gate.ts";
import type { PerplexityInput } from "../../plan/gates/gate-input.ts";
import type { CorpusText } from "./corpus.ts";
import type { GateContext } from "./gate-program.ts";
import { runOneOff } from "./one-off.ts";

const modelsFolder = "/models";

/** The last lines of a tool's output, for a message. */
function tail(output: string, lines = 5): string {
  return output.trim().split("\n").slice(-lines).join(" | ");
}

/** What one run of `llama-perplexity` is told, of a gate's input. */
export type PerplexityRun = Pick<
  PerplexityInput,
  "host" | "imageId" | "stack" | "modelVolume" | "modelPath" | "ctxSize" | "chunks" | "arguments" | "memoryMiB" | "cpus" | "gpus"
>;

/**
 * Runs `llama-perplexity` of the candidate's image on the corpus and reads what it says. The tool writes through a log thread of its own and can end well before
 * that has written its last lines (build 11669: 2 of 40 runs that took 10 ms), so a run that ended well without its final estimate is repeated once.
 * @throws {Error} with the end of its output if it fails or says anything unexpected.
 */
export async function measurePerplexity(
  input: PerplexityRun,
  corpus: CorpusText,
  context: Pick<GateContext, "docker" | "signal" | "evidence">,
): Promise<PerplexityReading> {
  const first = await runTool(input, corpus, context);
  const output = first.includes("Final estimate:") ? first : await runTool(input, corpus, context);
  return readPerplexityOutput(output, input.chunks);
}

/** Standard output and error of one run. @throws {Error} if it does not end well */
async function runTool(
  input: PerplexityRun,
  corpus: CorpusText,
  context: Pick<GateContext, "docker" | "signal" | "evidence">,
): Promise<string> {
  const model = `${modelsFolder}/${input.modelPath}`;
  const fixed = ["-m", model, "-f", "/work/corpus.txt", "-c", String(input.ctxSize), "--chunks", String(input.chunks)];
  const { stdout, stderr, exitCode, isOutOfMemory } = await runOneOff(
    context.docker,
    {
      host: input.host,
      image: input.imageId,
      stack: input.stack,
      command: ["llama-perplexity", ...fixed, ...input.arguments],
      mounts: [{ source: input.modelVolume, target: modelsFolder }],
      file: { name: "corpus.txt", content: corpus.content },
      memoryMiB: input.memoryMiB,
      cpus: input.cpus,
      gpus: input.gpus,
    },
    context.signal,
  );
  context.evidence["output"] = { stdout, stderr, exitCode };
  if (isOutOfMemory) throw new Error(`llama-perplexity was ended for its memory, limit ${input.memoryMiB ?? "of the host"} MiB`);
  if (exitCode !== 0) throw new UnreadableOutput(`llama-perplexity ended with exit code ${exitCode}; its output ends: ${tail(stderr)}`);
  return `${stdout}\n${stderr}`;
}
