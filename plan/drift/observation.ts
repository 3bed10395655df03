import type { Difference } from "./differences.ts";

/** A container with the project's labels. */
export interface ContainerSeen {
  readonly id: string;
  readonly name: string;
  readonly stack: string;
  readonly role: string;
  readonly release: string | null;
  /** Docker's word: `created`, `running`, `paused`, `restarting`, `exited`, `dead`. */
  readonly status: string;
  /** Image id. */
  readonly image: string;
}

/** A container that the stack declares, looked at closely. */
export interface ContainerState {
  readonly name: string;
  /** Null: there is no container of that name. */
  readonly seen: {
    readonly id: string;
    /** Stack of its labels; null: it is not the project's. */
    readonly stack: string | null;
    readonly status: string;
    readonly exitCode: number;
    readonly isOutOfMemory: boolean;
    /** What Docker said when it could not be started; empty as a rule. */
    readonly error: string;
    /** Times that Docker started it again since it was last started on purpose. */
    readonly restarts: number;
    readonly startedAtMs: number;
    readonly image: string;
    /** Names of the networks that it is on. */
    readonly networks: readonly string[];
    /** Of the image's health check; null where it has none. */
    readonly health: string | null;
    /** Last lines of its log; empty while it runs. */
    readonly logTail: string;
  } | null;
}

/** A token of an answer with the likeliest ones at its place, the likeliest first. */
export interface Token {
  readonly text: string;
  readonly likeliest: readonly string[];
}

/** What came of a short completion. */
export type Completion =
  | { readonly kind: "answered"; readonly text: string; readonly tokens: readonly Token[]; readonly wallMs: number }
  | { readonly kind: "failed"; readonly reason: string }
  /** No answer by the deadline. `isWorking`: the server went on with other requests meanwhile. */
  | { readonly kind: "late"; readonly afterMs: number; readonly isWorking: boolean };

/** What a server says of itself; null: it did not say. */
export interface SelfDescription {
  readonly modelPath: string | null;
  readonly alias: string | null;
  readonly slots: number | null;
  /** Tokens of one slot. */
  readonly contextTokens: number | null;
  readonly build: string | null;
  /** Ids that `/v1/models` lists. */
  readonly models: readonly string[];
  /** Parameters of the loaded model. */
  readonly parameters: number | null;
}

/** A file by its metadata. */
export interface FileStat {
  readonly bytes: number;
  readonly inode: string;
  readonly modifiedMs: number;
  readonly changedMs: number;
}

/** One running server, asked directly. */
export interface ServerSeen {
  readonly name: string;
  readonly completion: Completion;
  /** Null: it did not answer. */
  readonly self: SelfDescription | null;
  /** GPUs that it sees; null where none is declared. */
  readonly gpus: readonly string[] | null;
  /** Decode speed of the probe beside that of the promoted measurement, tok/s; null where it was not asked for or can't be compared. */
  readonly speed: { readonly measured: number; readonly baseline: number } | null;
}

/** One declared model file. */
export interface FileSeen {
  readonly path: string;
  /** As a new container would find it; null: no such file, or the volume is gone. */
  readonly stat: FileStat | null;
  /** Same, as each running server's container has it; null: it has none there. Empty where no server could be asked. */
  readonly inServers: readonly {
    readonly server: string;
    readonly stat: FileStat | null;
    /** Inodes of files of that name that the server's process has mapped; empty where it maps none (it read them into memory). */
    readonly mapped: readonly string[];
  }[];
  /** Checksum, where it was asked for now. */
  readonly sha256: string | null;
  /** Why it was not asked for although its metadata changed; null as a rule. */
  readonly unchecked: string | null;
  /** Whether there is somewhere to fetch it from, as far as can be told without fetching: a source that is a file of this machine has to be there. */
  readonly hasSource: boolean;
}

export interface GatewaySeen {
  /** Release that the pointer names; null: none, or the gateway can't be asked. */
  readonly active: string | null;
  /** Since when requests are made to wait although a release is active, milliseconds since 1970; null: they are not. */
  readonly heldSinceMs: number | null;
  /** Whether the pointer could be read. */
  readonly isReadable: boolean;
  /** What came of a request through it: the server that answered, or why none did. */
  readonly route: { readonly upstream: string | null; readonly problem: string | null };
}

/** A tag and what it points to now. */
export interface ImageSeen {
  readonly tag: string;
  /** Null: there is no such tag. */
  readonly taggedId: string | null;
  /** Whether the declared image is still on the host. */
  readonly isThere: boolean;
}

/** What was kept of an earlier check, and what the promoted measurement says. */
export interface Remembered {
  /** The build that was measured. */
  readonly build: string | null;
  /** Context of a slot that was measured, tokens. */
  readonly contextTokens: number | null;
  /** First check of this release that found its answers right. */
  readonly answer: { readonly tokens: readonly Token[]; readonly parameters: number | null } | null;
}

/** Whether a deployment is under way. */
export type Activity =
  | { readonly kind: "none" }
  | { readonly kind: "running"; readonly by: string }
  /** An update or rollout whose process is gone. */
  | {
      readonly kind: "interrupted";
      readonly what: string;
      /** Whether the state shows operations as begun; Pulumi keeps those of a killed update until they are cleared. */
      readonly hasPending: boolean;
      /** Whether Pulumi's lock still stands in the way of the next update. */
      readonly isLocked: boolean;
      /** Whether a rollout's lock on the Docker host does. */
      readonly isRollout: boolean;
    };

/** Everything that was asked of the host of one stack. */
export interface Observation {
  readonly activity: Activity;
  readonly differences: readonly Difference[];
  readonly labelled: readonly ContainerSeen[];
  /** Stacks that this backend knows. */
  readonly knownStacks: readonly string[];
  readonly containers: readonly ContainerState[];
  readonly servers: readonly ServerSeen[];
  readonly gateway: GatewaySeen | null;
  readonly images: readonly ImageSeen[];
  readonly files: readonly FileSeen[];
  readonly remembered: Remembered;
}
