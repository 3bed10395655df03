import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import type { StackProject } from "../support/stack-project.ts";

/** Makes the gates ask what a tiny model with random weights can answer, and nothing of a network. */
export async function lightenGates(project: StackProject): Promise<void> {
  const protocolFile = join(project.dir, "configs", "benchmark.yaml");
  const protocol = parse(await readFile(protocolFile, "utf8")) as { sets: Record<string, object> };
  // a tiny model loads in no time, so one that loads for ever is known soon
  await writeFile(
    protocolFile,
    stringify({ ...protocol, sets: { ...protocol.sets, faults: { ...protocol.sets["dev"], readyTimeoutSec: 20 } } }),
  );
  const text = join(project.dir, "corpus.txt");
  await writeFile(text, "the quick brown fox jumps over the lazy dog, and the dog sleeps on. ".repeat(60));
  const corpora = join(project.dir, "configs", "corpora.yaml");
  const sha256 = createHash("sha256")
    .update(await readFile(text))
    .digest("hex");
  const own = { own: { sources: [`file:${text}`], sha256, license: "none" } }; // of this machine, so that no fault waits for a network
  await writeFile(corpora, `${await readFile(corpora, "utf8")}\n${stringify(own)}`);
  await project.changeConfig(({ gates, ...config }) => {
    const { benchmark, perplexity } = gates as { benchmark: object; perplexity: object };
    const light = {
      // thousands of tokens a second are too many to be timed one by one
      benchmark: { ...benchmark, scenarioSet: "faults", dryRun: true },
      // random weights: any text is as good as any other to it
      perplexity: {
        ...perplexity,
        corpus: "own",
        reference: undefined,
        contextTokens: 128,
        chunks: 2,
        timeoutSec: 120,
        thresholds: { ceiling: 1e9 },
      },
    };
    return { ...config, gates: light };
  });
}
