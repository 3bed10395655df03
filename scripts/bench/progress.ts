import process from "node:process";
import { describeSeconds, secondsLeft } from "../../plan/bench/outcome.ts";
import type { BenchPhase } from "../../plan/bench/record.ts";

/** A line at least so often, ms, so that a log shows a run of hours to be alive. */
const heartbeatMs = 60_000;
const terminalTickMs = 1_000;

/** Tells what a matrix is at: profile, phase, how long it runs and about how long it will. On a terminal the last line moves; in a log there is one a minute. */
export class BenchProgress implements Disposable {
  readonly #all: readonly string[];
  readonly #took = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  readonly #isTerminal = process.stderr.isTTY;
  #current: { readonly profile: string; readonly at: number; phase: string; phaseAt: number } | undefined;

  /** `expected` is how long profiles took before, seconds. */
  constructor(all: readonly string[], expected: ReadonlyMap<string, number>) {
    this.#all = all;
    for (const [profile, sec] of expected) this.#took.set(profile, sec);
    this.#timer = setInterval(() => this.#tick(), this.#isTerminal ? terminalTickMs : heartbeatMs);
    this.#timer.unref();
  }

  begin(profile: string): void {
    const now = performance.now();
    this.#current = { profile, at: now, phase: "starting", phaseAt: now };
    this.line("starting");
  }

  phase(phase: BenchPhase): void {
    if (this.#current === undefined || this.#current.phase === phase) return;
    this.#current.phase = phase;
    this.#current.phaseAt = performance.now();
    this.line(phase);
  }

  end(profile: string, wallSec: number, what: string): void {
    this.#took.set(profile, wallSec);
    this.line(`${what} after ${describeSeconds(wallSec)}`);
    this.#current = undefined;
  }

  /** A line under the current profile. */
  line(text: string): void {
    this.#clear();
    process.stderr.write(`${this.#head()}${text}\n`);
    if (this.#isTerminal) this.#tick();
  }

  #head(): string {
    if (this.#current === undefined) return "bench: ";
    return `[${this.#all.indexOf(this.#current.profile) + 1}/${this.#all.length}] ${this.#current.profile}: `;
  }

  #tick(): void {
    if (this.#current === undefined) return;
    const now = performance.now();
    const open = this.#all.slice(this.#all.indexOf(this.#current.profile));
    const left = secondsLeft(open, this.#took, (now - this.#current.at) / 1000);
    const eta = left === null ? "time left not known before the first profile is done" : `about ${describeSeconds(left)} left`;
    const text = `${this.#head()}${this.#current.phase} for ${describeSeconds((now - this.#current.phaseAt) / 1000)}; ${eta}`;
    if (!this.#isTerminal) process.stderr.write(`${text}\n`);
    else process.stderr.write(`\r\u001b[2K${text.slice(0, process.stderr.columns - 1)}`);
  }

  #clear(): void {
    if (this.#isTerminal) process.stderr.write("\r\u001b[2K");
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#clear();
  }
}
