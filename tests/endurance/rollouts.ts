import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { RolloutRecord } from "../../plan/rollout/records.ts";
import { allTargets, killPart, leftoversOf, recover, runningServers, untilQuiet, type Target } from "../support/killing.ts";
import { chat } from "../support/load.ts";
import type { StackProject } from "../support/stack-project.ts";

type Kind = "good" | "refused" | "killed";
const order: readonly Kind[] = ["good", "refused", "killed"];
/** Seconds within which a rollout here ends by itself, so that a kill falls into it. */
const spanSec = 15;

/** One rollout, and what came of it. */
export interface RolloutFigures {
  readonly kind: Kind;
  readonly strategy: "bluegreen" | "recreate";
  readonly killed: Target;
  readonly beganMs: number;
  readonly endedMs: number;
  readonly exitCode: number | null;
  /** How long requests waited, as the rollout itself says, seconds. */
  readonly outageSec: number;
  readonly serves: string;
}

/** Rollouts of one stack after each other: good, refused and killed ones in turn, three beside what serves and three in its place. */
export class Rollouts {
  readonly figures: RolloutFigures[] = [];
  readonly #project: StackProject;
  readonly #random: () => number;
  readonly #good = new Set<string>();

  constructor(project: StackProject, random: () => number) {
    this.#project = project;
    this.#random = random;
  }

  /** The first deployment. */
  async begin(): Promise<void> {
    await this.#project.deploy();
    this.#good.add(await this.#serving());
  }

  /** The next rollout, of a release that is none of the last ones; fails unless a release that may serve does afterwards, and it alone. */
  async next(): Promise<RolloutFigures> {
    const index = this.figures.length;
    const kind = order[index % order.length] ?? "good";
    const strategy = Math.floor(index / order.length) % 2 === 0 ? "bluegreen" : "recreate";
    const killed = kind === "killed" ? (allTargets[Math.floor(this.#random() * allTargets.length)] ?? "cli") : "nothing";
    await this.#configure(index, kind, strategy);
    const beganMs = Date.now();
    const { exitCode, output } = await this.#run(kind, killed);
    const endedMs = Date.now();
    const serves = await this.#serving();
    const what = `rollout ${index}, ${kind}, ${strategy}, ${killed} killed\n${output}`;
    if (kind === "good") expect(exitCode, what).toBe(0);
    if (kind === "refused") expect(exitCode, what).not.toBe(0);
    else this.#good.add(serves);
    const { stack } = this.#project;
    expect([...this.#good], what).toContain(serves);
    expect(await runningServers(stack), what).toEqual([`llm-server-${stack}-server-${serves}`]);
    expect(await leftoversOf(this.#project), what).toEqual([]);
    const figures = { kind, strategy, killed, beganMs, endedMs, exitCode, outageSec: await this.#outageSince(beganMs), serves } as const;
    this.figures.push(figures);
    return figures;
  }

  /** The last deployment, of a good release: it removes what the candidate before it left. */
  async end(): Promise<void> {
    await this.#configure(this.figures.length, "good", "bluegreen");
    await this.#project.deploy();
  }

  async #configure(index: number, kind: Kind, strategy: string): Promise<void> {
    await this.#project.useCtxSize(4096 + 256 * ((index % 8) + 1));
    await this.#project.set("rollout.strategy", strategy);
    await this.#project.refuseCandidates(kind === "refused");
  }

  async #run(kind: Kind, killed: Target): Promise<{ readonly exitCode: number | null; readonly output: string }> {
    const { stack } = this.#project;
    const up = this.#project.start("up", "--yes", "--skip-preview", "--stack", stack);
    if (kind === "killed") {
      const isOver = await Promise.race([sleep(this.#random() * spanSec * 1000, false), up.then(() => true)]);
      if (up.pid !== undefined && !isOver) await killPart(killed, up.pid);
    }
    const { exitCode, all } = await up;
    await untilQuiet(stack);
    if (kind === "killed") {
      const recovered = await recover(this.#project);
      expect(recovered.exitCode, `${all}\n${recovered.output}`).toBe(0);
    }
    return { exitCode: exitCode ?? null, output: all };
  }

  async #serving(): Promise<string> {
    const { upstream } = await chat(this.#project.endpoint);
    return /server-([0-9a-f]{10})/.exec(upstream)?.[1] ?? upstream;
  }

  async #outageSince(beganMs: number): Promise<number> {
    const { output } = await this.#project.cli("status", this.#project.stack, "--json");
    const { lastRollout } = JSON.parse(output) as { lastRollout: RolloutRecord | null };
    return lastRollout !== null && Date.parse(lastRollout.endedAt) >= beganMs ? lastRollout.outageSec : 0;
  }
}
