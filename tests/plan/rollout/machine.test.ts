/** That the machine's steps never lose what serves, on a simulated host that follows Docker's rules; that Docker follows them is shown in tests/integration. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failed, nextStep, noProgress, succeeded } from "../../../plan/rollout/machine.ts";
import type { Effect, Goal, HostSeen, Outcome, Progress, Strategy } from "../../../plan/rollout/types.ts";

interface Server {
  isRunning: boolean;
  restart: string;
  isManuallyStopped: boolean;
  canStart: boolean;
  answers: boolean;
}

/** A Docker host with one stack on it. */
class World {
  gateway: HostSeen["gateway"] = "running";
  active: string | null = null;
  isHeld = false;
  readonly servers = new Map<string, Server>();
  readonly proven = new Set<string>();
  mostRunning = 0;

  add(release: string, quality: { canStart: boolean; answers: boolean }): void {
    this.servers.set(release, { isRunning: false, restart: "unless-stopped", isManuallyStopped: false, ...quality });
  }

  seen(): HostSeen {
    const releases = [...this.servers].map(([id, { isRunning, restart }]) => [id, [{ name: id, isRunning, restart }]]);
    const canAsk = this.gateway === "running";
    return {
      gateway: this.gateway,
      active: canAsk ? this.active : null,
      isHeld: canAsk && this.isHeld,
      releases: Object.fromEntries(releases) as HostSeen["releases"],
    };
  }

  running(): string[] {
    return [...this.servers].filter(([, { isRunning }]) => isRunning).map(([id]) => id);
  }

  /** @throws {Error} where the host would */
  perform(effect: Effect): void {
    if (effect.do === "startGateway") this.gateway = "running";
    else if (effect.do === "hold") this.isHeld = true;
    else this.#onServer(effect);
    this.mostRunning = Math.max(this.mostRunning, this.running().length);
  }

  #onServer(effect: Exclude<Effect, { do: "startGateway" | "hold" }>): void {
    const server = this.servers.get(effect.release);
    if (server === undefined) throw new Error("no such container");
    switch (effect.do) {
      case "stop":
        Object.assign(server, { isRunning: false, isManuallyStopped: true });
        if (effect.returns) server.restart = "always";
        return;
      case "start":
        server.restart = effect.onTrial ? "no" : "unless-stopped";
        if (!server.canStart) throw new Error("does not start");
        Object.assign(server, { isRunning: true, isManuallyStopped: false });
        return;
      case "probe":
        if (!server.isRunning || !server.answers) throw new Error("does not answer");
        return;
      case "switch":
        if (this.gateway !== "running") throw new Error("gateway is down");
        expect([...this.proven], "traffic goes to a release that passed its gates").toContain(effect.release);
        this.active = effect.release;
        this.isHeld = false;
        return;
      case "verify":
        if (this.gateway !== "running" || this.isHeld || this.active !== effect.release || !server.isRunning || !server.answers)
          throw new Error("the gateway does not answer from it");
        return;
      case "settle":
        server.restart = "unless-stopped";
        return;
      case "drain":
        return;
    }
  }

  /** Docker's rules: `always` starts, `unless-stopped` starts unless stopped by hand, `no` doesn't. The gateway forgets a hold when it starts. */
  reboot(): void {
    for (const server of this.servers.values()) {
      const returns = server.restart === "always" || (server.restart === "unless-stopped" && server.isRunning && !server.isManuallyStopped);
      server.isRunning = returns && server.canStart;
    }
    if (this.gateway !== "missing") this.gateway = "running";
    this.isHeld = false;
  }
}

class Killed extends Error {}

/** Runs the machine to its end; `mishap` may break the next effect or kill the program before or after it. */
function drive(
  world: World,
  goal: Goal,
  mishap: () => "none" | "breaks" | "killed" | "killed after" = () => "none",
  broken = noProgress.broken,
): Outcome {
  let progress: Progress = { ...noProgress, broken };
  for (let steps = 0; steps < 100; steps++) {
    const step = nextStep(goal, world.seen(), progress);
    if ("end" in step) return step.end;
    const luck = mishap();
    if (luck === "killed") throw new Killed();
    try {
      if (luck === "breaks") throw new Error("Docker says no");
      world.perform(step.effect);
      progress = succeeded(progress, step.effect);
    } catch (error) {
      if (!(error instanceof Error) || error.name === "AssertionError") throw error;
      progress = failed(progress, step.effect, error.message);
    }
    if (luck === "killed after") throw new Killed();
  }
  throw new Error(`does not end: ${JSON.stringify({ goal, seen: world.seen(), progress })}`);
}

/** A whole rollout as the programs of the chain run it: make room, measure, take traffic, and recover whatever fails. */
function rollOut(world: World, candidate: string, strategy: Strategy, passes: boolean, mishap: Parameters<typeof drive>[2]): Outcome {
  const previous = world.active;
  const recover = (broken?: Progress["broken"]): Outcome => drive(world, { kind: "recover", candidate, previous }, mishap, broken);
  const trial = drive(world, { kind: "trial", candidate, strategy }, mishap);
  if (trial.kind !== "ready") return recover();
  const server = world.servers.get(candidate);
  try {
    world.perform({ do: "start", release: candidate, onTrial: true }); // what the benchmark does
  } catch {
    return recover();
  }
  if (!passes || server?.answers !== true) return recover();
  world.proven.add(candidate);
  const outcome = drive(world, { kind: "promote", candidate, strategy, previous }, mishap);
  return outcome.kind === "serves" ? outcome : recover({ [candidate]: "reason" in outcome ? outcome.reason : "" });
}

function serving(release: string): World {
  const world = new World();
  world.add(release, { canStart: true, answers: true });
  world.proven.add(release);
  world.active = release;
  world.perform({ do: "start", release, onTrial: false });
  return world;
}
const effectsOf = (world: World, goal: Goal): string[] => {
  const effects: string[] = [];
  let progress = noProgress;
  for (;;) {
    const step = nextStep(goal, world.seen(), progress);
    if ("end" in step) return [...effects, step.end.kind];
    effects.push("release" in step.effect ? `${step.effect.do} ${step.effect.release}` : step.effect.do);
    world.perform(step.effect);
    progress = succeeded(progress, step.effect);
  }
};

describe("the steps of a rollout", () => {
  it("recreate: holds, drains and stops the old release, then takes traffic with the new one", () => {
    const world = serving("old");
    world.add("new", { canStart: true, answers: true });
    expect(effectsOf(world, { kind: "trial", candidate: "new", strategy: "recreate" })).toEqual(["hold", "drain old", "stop old", "ready"]);
    world.perform({ do: "start", release: "new", onTrial: true });
    world.proven.add("new");
    const goal = { kind: "promote", candidate: "new", strategy: "recreate", previous: "old" } as const;
    expect(effectsOf(world, goal)).toEqual(["probe new", "switch new", "settle new", "settle old", "verify new", "serves"]);
    expect(world.mostRunning).toBe(1);
  });

  it("bluegreen: leaves the old release alone until the new one has been proved", () => {
    const world = serving("old");
    world.add("new", { canStart: true, answers: true });
    expect(effectsOf(world, { kind: "trial", candidate: "new", strategy: "bluegreen" })).toEqual(["ready"]);
    world.perform({ do: "start", release: "new", onTrial: true });
    world.proven.add("new");
    const goal = { kind: "promote", candidate: "new", strategy: "bluegreen", previous: "old" } as const;
    expect(effectsOf(world, goal)).toEqual(["probe new", "switch new", "settle new", "verify new", "drain old", "stop old", "serves"]);
  });

  it("recover after a failed candidate: stops it, starts the old release, and ends the hold", () => {
    const world = serving("old");
    world.add("new", { canStart: true, answers: true });
    effectsOf(world, { kind: "trial", candidate: "new", strategy: "recreate" });
    world.perform({ do: "start", release: "new", onTrial: true });
    const goal = { kind: "recover", candidate: "new", previous: "old" } as const;
    expect(effectsOf(world, goal)).toEqual(["stop new", "start old", "probe old", "switch old", "settle new", "verify old", "serves"]);
  });

  it("a second recovery only looks", () => {
    expect(effectsOf(serving("old"), { kind: "recover", candidate: null, previous: null })).toEqual(["probe old", "verify old", "serves"]);
  });

  it("measures what serves anew without letting requests through meanwhile", () => {
    expect(effectsOf(serving("old"), { kind: "trial", candidate: "old", strategy: "bluegreen" })).toEqual(["hold", "drain old", "ready"]);
  });

  it("falls back on the release before where the new one does not answer through the gateway", () => {
    const world = serving("old");
    world.add("new", { canStart: true, answers: false });
    world.active = "new";
    world.proven.add("new");
    expect(drive(world, { kind: "recover", candidate: "new", previous: "old" })).toEqual({ kind: "serves", release: "old" });
    expect(world.running()).toEqual(["old"]);
  });

  it("fails over to nothing that it does not know: degraded, with the reason", () => {
    const world = serving("old");
    world.add("older", { canStart: true, answers: true });
    Object.assign(world.servers.get("old") ?? {}, { isRunning: false, canStart: false });
    expect(drive(world, { kind: "recover", candidate: null, previous: null })).toEqual({
      kind: "degraded",
      reason: "release old: does not start",
    });
  });

  it("brings the old release back although the gateway is gone, and says so", () => {
    const world = serving("old");
    world.perform({ do: "stop", release: "old", returns: true });
    world.gateway = "missing";
    const outcome = drive(world, { kind: "recover", candidate: "new", previous: "old" });
    expect(outcome).toEqual({ kind: "degraded", reason: "the gateway's container is gone; release old runs behind it" });
    expect(world.running()).toEqual(["old"]);
  });

  it.each([
    { what: "the release that served", running: ["old"] },
    { what: "it and a leftover", running: ["old", "older"] },
    { what: "nothing", running: [] },
  ])("touches nothing where the gateway is gone and nobody knows what it routed to, while $what runs", ({ running }) => {
    const world = serving("old");
    world.add("older", { canStart: true, answers: true });
    for (const [id, server] of world.servers) server.isRunning = running.includes(id);
    world.gateway = "missing";
    expect(nextStep({ kind: "recover", candidate: null, previous: null }, world.seen(), noProgress)).toEqual({
      end: {
        kind: "degraded",
        reason: "the gateway's container is gone; what it routed to is not known, and nothing was started or stopped",
      },
    });
  });

  it("is idle on a host that has nothing of the stack", () => {
    const world = new World();
    world.gateway = "missing";
    expect(drive(world, { kind: "recover", candidate: null, previous: null })).toEqual({ kind: "idle" });
  });

  it.each<{ goal: Extract<Goal, { kind: "trial" | "promote" }> }>([
    { goal: { kind: "trial", candidate: "pruned", strategy: "recreate" } },
    { goal: { kind: "promote", candidate: "pruned", strategy: "recreate", previous: "old" } },
    { goal: { kind: "promote", candidate: "pruned", strategy: "bluegreen", previous: "old" } },
  ])("$goal.kind, $goal.strategy: stops nothing for a candidate whose container is gone", ({ goal }) => {
    expect(effectsOf(serving("old"), goal)).toEqual(["failed"]);
    expect(nextStep(goal, serving("old").seen(), noProgress)).toEqual({ end: { kind: "failed", reason: "its container is gone" } });
  });

  it("makes room for other stacks, without a candidate: holds, drains and stops what serves", () => {
    const pause = { kind: "trial", candidate: null, strategy: "recreate" } as const;
    expect(effectsOf(serving("old"), pause)).toEqual(["hold", "drain old", "stop old", "ready"]);
    expect(effectsOf(new World(), pause)).toEqual(["ready"]);
  });

  it("gives up after an effect that should work has failed three times", () => {
    const world = serving("old");
    world.add("new", { canStart: true, answers: true });
    let count = 0;
    const outcome = drive(world, { kind: "trial", candidate: "new", strategy: "recreate" }, () => (count++ > 1 ? "breaks" : "none"));
    expect(outcome).toEqual({ kind: "failed", reason: "stop failed 3 times: Docker says no" });
  });
});

describe("10,000 random schedules", () => {
  const mishap = fc.constantFrom("none", "none", "none", "none", "none", "breaks", "killed", "killed after");
  const rollout = fc.record({
    canStart: fc.boolean(),
    answers: fc.boolean(),
    /** A retained release's container may have been pruned. */
    isThere: fc.constantFrom(true, true, true, false),
    passes: fc.boolean(),
    mishaps: fc.array(mishap, { minLength: 0, maxLength: 30 }),
    reboots: fc.boolean(),
    guard: fc.boolean(),
    guardMishaps: fc.array(mishap, { minLength: 0, maxLength: 20 }),
    /** A person starts or stops a container, or the gateway dies. */
    hand: fc.constantFrom("none", "none", "stop active", "start candidate", "stop gateway"),
  });

  it("a release that passed its gates serves in the end, and one GPU never holds two", () => {
    fc.assert(
      fc.property(
        fc.constantFrom<Strategy>("bluegreen", "recreate"),
        fc.array(rollout, { minLength: 1, maxLength: 5 }),
        (strategy, rollouts) => {
          const world = serving("r0");
          rollouts.forEach((plan, index) => schedule(world, `r${index + 1}`, strategy, plan));
          if (strategy === "recreate" && !rollouts.some(({ hand, reboots }) => hand === "start candidate" || reboots))
            expect(world.mostRunning).toBe(1);
        },
      ),
      { numRuns: 10_000, seed: 6 },
    );
  });

  function schedule(
    world: World,
    candidate: string,
    strategy: Strategy,
    plan: typeof rollout extends fc.Arbitrary<infer T> ? T : never,
  ): void {
    const { mishaps, guardMishaps } = { mishaps: [...plan.mishaps], guardMishaps: [...plan.guardMishaps] };
    if (plan.isThere) world.add(candidate, plan);
    const previous = world.active;
    const goal = { kind: "recover", candidate, previous } as const;
    try {
      rollOut(world, candidate, strategy, plan.passes, () => mishaps.shift() ?? "none");
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      if (plan.reboots) world.reboot();
      if (plan.guard)
        try {
          drive(world, goal, () => guardMishaps.shift() ?? "none");
        } catch (again) {
          if (!(again instanceof Killed)) throw again;
        }
    }
    interfere(world, candidate, plan.hand);
    const outcome = drive(world, goal);
    const active = world.active;
    expect(outcome).toEqual({ kind: "serves", release: active });
    expect([...world.proven]).toContain(active);
    expect(world.running()).toEqual([active]);
    expect(world.isHeld).toBe(false);
    expect([...world.servers.values()].map(({ restart }) => restart)).toEqual([...world.servers].map(() => "unless-stopped"));
    expect(drive(world, { kind: "recover", candidate: null, previous: null })).toEqual(outcome);
  }

  function interfere(world: World, candidate: string, hand: string): void {
    const target = hand === "stop active" ? world.active : hand === "start candidate" ? candidate : null;
    if (hand === "stop gateway") world.gateway = "stopped";
    const server = target === null ? undefined : world.servers.get(target);
    if (server !== undefined) server.isRunning = hand === "start candidate" && server.canStart;
  }

  it("with the gateway gone and nothing known of before, no recovery starts or stops anything", () => {
    const server = fc.record({
      isRunning: fc.boolean(),
      restart: fc.constantFrom("unless-stopped", "always", "no"),
      canStart: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom("a", "b", "c"), server), fc.constantFrom("a", null), (servers, candidate) => {
        const world = new World();
        world.gateway = "missing";
        for (const [id, each] of Object.entries(servers)) world.servers.set(id, { isManuallyStopped: false, answers: true, ...each });
        const before = structuredClone(world.servers);
        drive(world, { kind: "recover", candidate, previous: null });
        expect(world.servers).toEqual(before);
      }),
    );
  });

  it("a reboot at any moment of a recreate brings back a release that passed its gates", () => {
    for (let killAt = 0; killAt < 12; killAt++)
      for (const after of [false, true]) {
        const world = serving("old");
        world.add("new", { canStart: true, answers: true });
        let count = 0;
        try {
          rollOut(world, "new", "recreate", true, () => (count++ === killAt ? (after ? "killed after" : "killed") : "none"));
        } catch (error) {
          if (!(error instanceof Killed)) throw error;
        }
        const wasSwitched = world.active === "new" && world.servers.get("new")?.restart === "no";
        world.reboot();
        if (!wasSwitched) expect(world.running()).toContain(world.active);
        expect(drive(world, { kind: "recover", candidate: "new", previous: "old" }).kind).toBe("serves");
      }
  });
});
