import type Docker from "dockerode";
import type { StackSettings } from "../../plan/bench/settings.ts";
import type { Variant } from "../../plan/bench/variants.ts";
import type { journalNames } from "./journal-file.ts";
import type { PulumiPlace } from "./stack-run.ts";

/** A matrix: what is benched, with whose settings, and where. */
export interface BenchRequest {
  readonly projectDir: string;
  readonly variants: readonly Variant[];
  /** Settings that all stacks share. */
  readonly settings: StackSettings;
  /** Folder on the Docker host with the models. */
  readonly modelsPath: string;
  /** Identifies the request in the journal. */
  readonly key: string;
  readonly journal: (typeof journalNames)[number];
  /** Whether more is asked for under the same key: the run is over only when `finishRun` says so. */
  readonly goesOn: boolean;
  readonly isKept: boolean;
  readonly isFresh: boolean;
  readonly docker: Docker;
  readonly pulumi: Pick<PulumiPlace, "env">;
  /** How long profiles took before, seconds. */
  readonly expected: ReadonlyMap<string, number>;
}
