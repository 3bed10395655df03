import { LocalWorkspace, PulumiCommand, type EngineEvent, type Stack } from "@pulumi/pulumi/automation/index.js";
import { phaseOfUrn, type Span } from "../../plan/bench/outcome.ts";
import type { BenchPhase } from "../../plan/bench/record.ts";
import { toolsDir } from "../paths.ts";

/** What an `up` showed of itself. */
export interface UpTraces {
  readonly spans: readonly Span[];
  readonly failedPhases: readonly BenchPhase[];
  readonly errors: readonly string[];
  /** What each resource that was made gave out. */
  readonly outputs: readonly Readonly<Record<string, unknown>>[];
}

/** What a bench run hears while a stack goes up or down. */
export interface Watch {
  phase(phase: BenchPhase): void;
  /** A line that a gate, a fetch or a build says. */
  said(line: string): void;
}

/** Where and how Pulumi runs. */
export interface PulumiPlace {
  readonly workDir: string;
  /** Environment of the CLI beyond the process's own, e.g. another backend. */
  readonly env: Readonly<Record<string, string>>;
  readonly command: PulumiCommand;
}

/** The CLI that set-up brought: asked for its version once, not once a stack. */
export const findPulumi = (): Promise<PulumiCommand> => PulumiCommand.get({ root: toolsDir, skipVersionCheck: true });

/** One bench stack, by the Automation API. */
export class BenchStack {
  /** Whether there was none of that name before. */
  readonly isNew: boolean;
  readonly #stack: Stack;

  private constructor(stack: Stack, isNew: boolean) {
    this.#stack = stack;
    this.isNew = isNew;
  }

  static async open(stackName: string, { workDir, env, command }: PulumiPlace): Promise<BenchStack> {
    const options = { pulumiCommand: command, envVars: { ...env } };
    try {
      return new BenchStack(await LocalWorkspace.createStack({ stackName, workDir }, options), true);
    } catch (error) {
      // most are new, so there is no look before; one that is there may be locked by a killed run, and then that is what Pulumi says
      const there = await LocalWorkspace.selectStack({ stackName, workDir }, options).catch(() => {
        throw error;
      });
      return new BenchStack(there, false);
    }
  }

  /** `pulumi up`; what failed is in the traces, not thrown. */
  async up(watch: Watch, signal: AbortSignal): Promise<UpTraces> {
    const collector = new Collector(watch);
    try {
      await this.#stack.up({ onEvent: (event) => collector.take(event), signal, suppressProgress: true });
    } catch (error) {
      signal.throwIfAborted();
      collector.failed(error);
    }
    return collector.traces();
  }

  /**
   * Forgets the stack. What it made is removed before that, by its labels (`removeMade`): a destroy would remove the same one by one, with the provider's
   * fixed wait of 2 s for each network and volume, and of a killed update it would not know all.
   */
  async forget(isInterrupted: boolean): Promise<void> {
    if (isInterrupted) await this.#stack.cancel().catch(() => undefined); // there may be no update to cancel
    await this.#stack.workspace.removeStack(this.#stack.name, { force: true, preserveConfig: true });
  }
}

const terminalColours = /<\{%[^%]*%\}>|\u001b\[[0-9;]*m/g;

/** Messages for people; others are the engine's own notes. */
const saidSeverities = new Set(["info", "info#err", "warning"]);

/** Reads an update's events: who runs when, who failed, who says what. */
class Collector {
  readonly #watch: Watch;
  readonly #open = new Map<string, number>();
  readonly #spans: Span[] = [];
  readonly #failedPhases: BenchPhase[] = [];
  readonly #errors: string[] = [];
  readonly #outputs: Readonly<Record<string, unknown>>[] = [];

  constructor(watch: Watch) {
    this.#watch = watch;
  }

  take(event: EngineEvent): void {
    const now = performance.now();
    const begun = event.resourcePreEvent?.metadata;
    if (begun !== undefined && begun.op !== "same") {
      this.#open.set(begun.urn, now);
      const phase = phaseOfUrn(begun.urn);
      if (phase !== "rest") this.#watch.phase(phase);
    }
    const ended = event.resOutputsEvent?.metadata ?? event.resOpFailedEvent?.metadata;
    if (ended !== undefined) this.#close(ended.urn, now);
    const made = event.resOutputsEvent?.metadata;
    if (made?.new?.outputs !== undefined && made.op !== "same") this.#outputs.push(made.new.outputs); // the same says what an earlier update measured
    if (event.resOpFailedEvent !== undefined) this.#failedPhases.push(phaseOfUrn(event.resOpFailedEvent.metadata.urn));
    if (event.diagnosticEvent !== undefined) this.#diagnose(event.diagnosticEvent.severity, event.diagnosticEvent.message);
  }

  #close(urn: string, now: number): void {
    const from = this.#open.get(urn);
    if (from === undefined) return;
    this.#open.delete(urn);
    this.#spans.push({ phase: phaseOfUrn(urn), from, to: now });
  }

  #diagnose(severity: string, message: string): void {
    const text = message.replaceAll(terminalColours, "").trim();
    if (text === "") return;
    if (severity === "error") this.#errors.push(text);
    else if (saidSeverities.has(severity)) this.#watch.said(text);
  }

  /** What the command itself said, where no event did. */
  failed(error: unknown): void {
    if (this.#errors.length === 0) this.#errors.push(error instanceof Error ? error.message : String(error));
  }

  traces(): UpTraces {
    const now = performance.now();
    for (const urn of [...this.#open.keys()]) this.#close(urn, now);
    return { spans: this.#spans, failedPhases: this.#failedPhases, errors: this.#errors, outputs: this.#outputs };
  }
}
