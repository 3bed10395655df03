import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { changedInputs, inputsOf } from "../../plan/bench/inputs.ts";
import { journalLine, readJournal, whatHolds, type JournalEntry } from "../../plan/bench/journal.ts";
import { decideOutcome, describeSeconds, phaseOfUrn, phaseSeconds, secondsLeft, type BenchTraces } from "../../plan/bench/outcome.ts";
import { scaleToDev } from "../../plan/bench/scale.ts";
import { asPulumiConfig, benchStack, stackSettings } from "../../plan/bench/settings.ts";
import { deriveProfile, parseAxis, planVariants } from "../../plan/bench/variants.ts";
import { parseProfile } from "../../plan/config/profile.ts";
import { mostReplicas } from "../../plan/config/stack-config.ts";
import { serverName } from "../../plan/names.ts";
import { madeRecord, minuteOf } from "../support/results.ts";
import { readProjectFile } from "../support/project.ts";

// Proves what a matrix decides. That it runs, and goes on after a kill, is tests/integration/bench.test.ts.

describe("a matrix", () => {
  it("has every profile with every combination of values", () => {
    const variants = planVariants(["c7", "c8"], [parseAxis("ubatch=512,4096"), parseAxis("cache-type-k=q8_0")]);
    expect(variants.map(({ id }) => id)).toEqual([
      "c7-ubatch-512-cache-type-k-q8-0",
      "c7-ubatch-4096-cache-type-k-q8-0",
      "c8-ubatch-512-cache-type-k-q8-0",
      "c8-ubatch-4096-cache-type-k-q8-0",
    ]);
    expect(variants[0]).toMatchObject({ basedOn: "c7", set: { LLAMA_ARG_UBATCH: "512", LLAMA_ARG_CACHE_TYPE_K: "q8_0" } });
  });

  it("without axes is the profiles themselves", () => {
    expect(planVariants(["dev"], [])).toEqual([{ id: "dev", basedOn: "dev", set: {}, drop: [] }]);
  });

  it.each(["ubatch", "ubatch=", "=1", "1a=2", "a b=1"])("fails on an axis written as %j", (text) => {
    expect(() => parseAxis(text)).toThrow(/^--matrix: got .*, expected key=value,value, e\.g\. ubatch=512,4096$/);
  });

  it("fails on a key that is named twice", () => {
    expect(() => planVariants(["dev"], [parseAxis("ubatch=1"), parseAxis("ubatch=2")])).toThrow("--matrix: got LLAMA_ARG_UBATCH twice");
  });
});

describe("a derived profile", () => {
  it("has the other values in place of the old ones, and new keys at the end", () => {
    expect(
      deriveProfile("# why\nIMAGE=a\nLLAMA_ARG_UBATCH=4096\n", { set: { LLAMA_ARG_UBATCH: "512", LLAMA_ARG_BATCH: "$&" }, drop: [] }),
    ).toBe("# why\nIMAGE=a\nLLAMA_ARG_UBATCH=512\nLLAMA_ARG_BATCH=$&\n");
  });

  it("lacks the keys that go, unless they are set too", () => {
    const text = "IMAGE=a\nLLAMA_ARG_FIT=on\nLLAMA_ARG_FIT_TARGET=1024\nSAMPLING=b\n";
    expect(deriveProfile(text, { set: { SAMPLING: "c" }, drop: ["LLAMA_ARG_FIT", "SAMPLING"] })).toBe(
      "IMAGE=a\nLLAMA_ARG_FIT_TARGET=1024\nSAMPLING=c\n",
    );
  });

  it.each([
    "c1-fulloffload",
    "c2-partial",
    "c2a-partial32",
    "c2b-partial36",
    "c3-nokv",
    "c4-autofit",
    "c4r-autofit-refit",
    "c5-q4km-fulloffload",
    "c6-q4km-partial16",
    "c7-q4km-partial24",
    "c8-q4km-fit",
  ])("scaled from %s to the dev model still parses, and keeps what it is about", (name) => {
    const text = readProjectFile(`configs/llama-cpp-s005-${name}.env`) ?? "";
    const dev = readProjectFile("configs/llama-cpp-dev.env") ?? "";
    const scaled = parseProfile(
      scaleToDev(text, dev, (image) => image !== "before-fit"),
      { id: name, file: name },
    );
    const seed = parseProfile(text, { id: name, file: name });
    for (const flag of ["LLAMA_ARG_CACHE_TYPE_K", "LLAMA_ARG_CACHE_TYPE_V", "LLAMA_ARG_N_CPU_MOE", "LLAMA_ARG_FLASH_ATTN"])
      expect([flag, scaled.flags[flag]]).toEqual([flag, seed.flags[flag]]);
    expect([scaled.image, scaled.model]).toEqual([name === "c4-autofit" ? "before-fit" : "debian", "gemma-3-270m-q4_k_m"]);
  });
});

describe("settings of a bench stack", () => {
  it("measure with every gate and decide with none, and share one folder of models", () => {
    const shared = {
      "llm-server:profile": "other",
      "llm-server:gates": { benchmark: { scenarioSet: "full", dryRun: false }, perplexity: { corpus: "dev" } },
      "aws:region": "x",
    };
    expect(stackSettings(shared, "c7", "/models")).toEqual({
      "llm-server:profile": "c7",
      "llm-server:gates": { benchmark: { scenarioSet: "full", dryRun: true }, perplexity: { corpus: "dev", dryRun: true } },
      "llm-server:models": { path: "/models" },
    });
    expect(asPulumiConfig({ a: "b", c: { d: 1 } })).toEqual({ a: "b", c: '{"d":1}' });
  });

  it("leave a folder of models that the settings name as it is", () => {
    expect(stackSettings({ "llm-server:models": { path: "/mine" } }, "c7", "/models")).toMatchObject({
      "llm-server:models": { path: "/mine" },
    });
  });
});

const seeds = [
  "s005-c1-fulloffload",
  "s005-c2-partial",
  "s005-c2a-partial32",
  "s005-c2b-partial36",
  "s005-c3-nokv",
  "s005-c4-autofit",
  "s005-c4r-autofit-refit",
  "s005-c5-q4km-fulloffload",
  "s005-c6-q4km-partial16",
  "s005-c7-q4km-partial24",
  "s005-c8-q4km-fit",
];

describe("the stack of a profile", () => {
  const axes = ["ubatch=512,4096", "n-cpu-moe=20,24", "cache-type-k=q8_0", "parallel=4"].map(parseAxis);
  const ids = [0, 1, 2, 3, 4].flatMap((many) => planVariants(seeds, axes.slice(0, many)).map(({ id }) => id));
  const tuned = seeds.flatMap((id) =>
    ["n-cpu-moe-14-ubatch-512-4-slots-cache-q8-0", "fit-ubatch-4096-4-slots-cache-f16"].map((end) => `${id}-tune-${end}`),
  );

  it("has servers whose names are host names, with as many replicas as there can be, and is another for each", () => {
    const stacks = [...new Set([...ids, ...tuned])].map(benchStack);
    const names = stacks.map((stack) => serverName(stack, "0123456789", mostReplicas - 1));
    expect(names.filter((name) => name.length > 63)).toEqual([]);
    expect(new Set(stacks).size).toBe(stacks.length);
    expect(stacks.filter((stack) => !/^bench-[a-z0-9]+(-[a-z0-9]+)*$/.test(stack))).toEqual([]);
  });

  it("is named after it, and begins like a long one with a hash after it", () => {
    expect(seeds.map(benchStack)).toEqual(seeds.map((id) => `bench-${id}`));
    expect(benchStack("s005-c7-q4km-partial24-ubatch-512")).toBe("bench-s005-c7-q4km-par-2c8b077e");
  });
});

const run: JournalEntry = { kind: "run", request: "r1", profiles: ["a", "b"], at: minuteOf(0) };
const begin = (profile: string): JournalEntry => ({ kind: "begin", profile, stack: `bench-${profile}`, at: minuteOf(1) });
const end = (profile: string): JournalEntry => ({
  kind: "end",
  profile,
  record: "r.json",
  inputs: { "configs/benchmark.yaml": "1" },
  outcome: "measured",
  wallSec: 9,
  measuredSec: 8,
  at: minuteOf(2),
});

describe("a journal", () => {
  it("says what is done and what was interrupted", () => {
    const state = readJournal([run, begin("a"), end("a"), begin("b")].map(journalLine).join(""));
    expect(state).toMatchObject({ request: "r1", isFinished: false, interrupted: { profile: "b", stack: "bench-b" } });
    expect(state.done.map(({ profile }) => profile)).toEqual(["a"]);
  });

  it("takes a torn last line as if it had not been written", () => {
    const whole = [run, begin("a")].map(journalLine).join("");
    for (let length = 0; length < journalLine(end("a")).length; length++)
      expect(readJournal(whole + journalLine(end("a")).slice(0, length)).interrupted).toEqual(
        length < journalLine(end("a")).length - 1 ? { profile: "a", stack: "bench-a" } : null,
      );
  });

  it("counts the last run only, and an empty one is finished", () => {
    const state = readJournal([run, begin("a"), { ...run, request: "r2" }].map(journalLine).join(""));
    expect(state).toEqual({ request: "r2", isFinished: false, done: [], interrupted: null });
    expect(readJournal("").isFinished).toBe(true);
  });

  it("has nothing interrupted once that is removed, and takes the last bench of a profile that was measured again", () => {
    const removed: JournalEntry = { kind: "removed", stack: "bench-a", at: minuteOf(3) };
    const again = { ...end("a"), record: "again.json" };
    expect(readJournal([run, begin("a"), removed].map(journalLine).join("")).interrupted).toBeNull();
    const open = readJournal([run, begin("a"), end("a"), begin("a")].map(journalLine).join(""));
    expect(open.interrupted).toEqual({ profile: "a", stack: "bench-a" });
    expect(readJournal([run, begin("a"), end("a"), begin("a"), again].map(journalLine).join(""))).toMatchObject({
      done: [again],
      interrupted: null,
    });
  });

  it("holds for what is asked for again and is made of the same, and says what changed of the rest", () => {
    const done = ["a", "b", "c"].map((profile) => end(profile) as Extract<JournalEntry, { kind: "end" }>);
    const same = { "configs/benchmark.yaml": "1" };
    const asked = new Map([
      ["a", same],
      ["b", { "configs/benchmark.yaml": "2" }],
      ["d", same],
    ]);
    expect(whatHolds(done, asked)).toEqual({ holds: done.slice(0, 1), changed: [{ profile: "b", names: ["configs/benchmark.yaml"] }] });
  });

  it("reads lines from before a bench's inputs were kept", () => {
    const { inputs, ...old } = end("a") as Extract<JournalEntry, { kind: "end" }>;
    expect(readJournal(`${journalLine(run)}${JSON.stringify(old)}\n`).done).toEqual([{ ...old, inputs: {} }]);
    expect(inputs).not.toEqual({});
  });

  it("fails on a line in the middle that does not read", () => {
    expect(() => readJournal(`${journalLine(run)}{"kind":"what"}\n${journalLine(begin("a"))}`)).toThrow(/^journal: line 2 does not read/);
  });
});

describe("what a bench is made of", () => {
  const files: Record<string, string> = {
    "configs/llama-cpp-a.env": "IMAGE=one\nMODEL=m\n",
    "configs/images.yaml": "one: { ref: 1 }\ntwo: { ref: 1 }\n",
    "configs/models.yaml": "m: { sha256: 1 }\n",
    "configs/benchmark.yaml": "sets: 1",
  };
  const after = (changes: Record<string, string>) =>
    changedInputs(
      inputsOf("a", (path) => files[path]),
      inputsOf("a", (path) => ({ ...files, ...changes })[path]),
    );

  it.each([
    ["another pin of its image", "configs/images.yaml", "one: { ref: 2 }\ntwo: { ref: 1 }\n", ["configs/images.yaml: one"]],
    ["another pin of an image that it does not use", "configs/images.yaml", "one: { ref: 1 }\ntwo: { ref: 2 }\n", []],
    ["another file of its model", "configs/models.yaml", "m: { sha256: 2 }\n", ["configs/models.yaml: m"]],
    ["other prompts", "configs/benchmark.yaml", "sets: 2", ["configs/benchmark.yaml"]],
    ["its own text", "configs/llama-cpp-a.env", "IMAGE=one\nMODEL=m\nLLAMA_ARG_UBATCH=1\n", ["configs/llama-cpp-a.env"]],
    [
      "an image in place of another",
      "configs/llama-cpp-a.env",
      "IMAGE=two\nMODEL=m\n",
      ["configs/images.yaml: one", "configs/images.yaml: two", "configs/llama-cpp-a.env"],
    ],
    ["a file that does not read any more", "configs/images.yaml", "one: [", ["configs/images.yaml: one"]],
  ])("differs by %s", (_what, file, text, changed) => {
    expect(after({ [file]: text })).toEqual(changed);
  });
});

const clean: BenchTraces = { result: null, gates: [], failedPhases: [], errors: [], isOomKilled: false, serverLog: "" };
const failedGate = {
  ...(madeRecord("p", minuteOf(0), 20).gates[0] as BenchTraces["gates"][number]),
  gate: "benchmark" as const,
  verdict: "error" as const,
};

describe("the outcome of one profile", () => {
  it.each<[string, Partial<BenchTraces>, string]>([
    ["a result file is measured, whatever the verdicts", { result: "r.json" }, "measured"],
    ["a result file is incomplete where the promotion failed", { result: "r.json", errors: ["promote: no answer"] }, "incomplete"],
    ["a result file is measured where a gate could not tell", { result: "r.json", gates: [failedGate] }, "measured"],
    ["an image that did not build", { failedPhases: ["image"], errors: ["exit code 1"] }, "failed-build"],
    ["a container that the kernel ended", { isOomKilled: true, errors: ["container is exited, exit code 137"] }, "out-of-memory"],
    ["a device without room", { errors: ["gate error"], serverLog: "ggml_cuda: cudaMalloc failed: out of memory" }, "out-of-memory"],
    ...["cuda-first-long-prompt", "cuda-kv-cache"].map((name): [string, Partial<BenchTraces>, string] => [
      `a real GPU without room (${name})`,
      { errors: ["gate error"], serverLog: readFileSync(new URL(`../fixtures/llama-server/${name}.txt`, import.meta.url), "utf8") },
      "out-of-memory",
    ]),
    [
      "a perplexity tool that was ended for its memory",
      { gates: [{ ...failedGate, reason: "llama-perplexity was ended for its memory, limit 300 MiB" }] },
      "out-of-memory",
    ],
    [
      "a server that the kernel ended, and that is gone since",
      { gates: [{ ...failedGate, reason: "container x is exited, exit code 137, killed by the kernel for its memory" }] },
      "out-of-memory",
    ],
    [
      "an output that does not read",
      { gates: [{ ...failedGate, reason: 'got "x", expected "[chunk]perplexity", in line: x' }] },
      "unreadable",
    ],
    ["anything else", { errors: ["connection refused"] }, "failed"],
    ["nothing at all", {}, "failed"],
  ])("%s", (_what, traces, outcome) => {
    expect(decideOutcome({ ...clean, ...traces }).outcome).toBe(outcome);
  });

  it("says the gate's reason before what failed after it", () => {
    const gates = [{ ...failedGate, reason: "container is exited" }];
    expect(decideOutcome({ ...clean, gates, errors: ["promote: the gateway answered 503"] }).reason).toBe("benchmark: container is exited");
  });
});

describe("phases", () => {
  it.each([
    ["urn:pulumi:s::p::x$command:local:Command::benchmark-1a2b", "benchmark"],
    ["urn:pulumi:s::p::x$command:local:Command::perplexity-99", "perplexity"],
    ["urn:pulumi:s::p::x$docker:index/image:Image::llama-image", "image"],
    ["urn:pulumi:s::p::x$command:local:Command::llama-image-build", "image"],
    ["urn:pulumi:s::p::x$command:local:Command::llama-image-latest-fit-build", "image"],
    ["urn:pulumi:s::p::x$command:local:Command::models-gemma", "models"],
    ["urn:pulumi:s::p::x$command:local:Command::promote", "promote"],
    ["urn:pulumi:s::p::x$docker:index/network:Network::servers", "rest"],
  ])("of %s is %s", (urn, phase) => {
    expect(phaseOfUrn(urn)).toBe(phase);
  });

  it("add up to the whole time, overlaps counted once", () => {
    const spans = [
      { phase: "image" as const, from: 1000, to: 5000 },
      { phase: "models" as const, from: 2000, to: 3000 },
      { phase: "benchmark" as const, from: 6000, to: 9000 },
    ];
    const seconds = phaseSeconds(spans, 0, 10_000);
    expect(Object.fromEntries(seconds.map(({ phase, sec }) => [phase, sec]))).toEqual({ rest: 3, image: 3, models: 1, benchmark: 3 });
    expect(seconds.reduce((sum, { sec }) => sum + sec, 0)).toBe(10);
  });
});

describe("the time that is left", () => {
  it("is not known before anything was measured", () => {
    expect(secondsLeft(["a", "b"], new Map(), 5)).toBeNull();
  });

  it("takes what a profile took before, and the mean for the others", () => {
    expect(
      secondsLeft(
        ["a", "b", "c"],
        new Map([
          ["a", 100],
          ["z", 200],
        ]),
        30,
      ),
    ).toBe(70 + 150 + 150);
  });

  it.each([
    [48, "48 s"],
    [200, "3 min 20 s"],
    [7500, "2 h 05 min"],
  ])("of %i s reads %s", (seconds, text) => {
    expect(describeSeconds(seconds)).toBe(text);
  });
});
