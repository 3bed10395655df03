/** How Docker restarts a container: its own choice in peace; `no` while a candidate is tried; `always` while a server that has to come back after a reboot is stopped. */
export type RestartPolicy = "unless-stopped" | "no" | "always";
/** Restart policy of every server outside of a rollout; what its resource declares. */
export const normalRestart = "unless-stopped" satisfies RestartPolicy;

/** One container of a release. */
export interface ServerSeen {
  readonly name: string;
  readonly isRunning: boolean;
  readonly restart: string;
}

/** What the Docker host says of one stack. */
export interface HostSeen {
  readonly gateway: "running" | "stopped" | "missing";
  /** Release that the gateway's pointer names; null where none, or while the gateway can't be asked. */
  readonly active: string | null;
  /** Whether the gateway makes requests wait although a release is active. */
  readonly isHeld: boolean;
  /** Containers of each release by its id. */
  readonly releases: Readonly<Record<string, readonly ServerSeen[]>>;
}

/** Whether two releases may run at once. */
export type Strategy = "bluegreen" | "recreate";

/**
 * What a program wants of the host. `trial`: the candidate may be started and measured; null: there is none, the devices are to be free. `promote`: the candidate, which passed its gates, takes traffic.
 * `recover`: whatever was interrupted is finished or undone.
 */
export type Goal =
  | { readonly kind: "trial"; readonly candidate: string | null; readonly strategy: Strategy }
  | { readonly kind: "promote"; readonly candidate: string; readonly strategy: Strategy; readonly previous: string | null }
  | { readonly kind: "recover"; readonly candidate: string | null; readonly previous: string | null };

/** One thing to do on the host. Each can be done twice without harm. */
export type Effect =
  | { readonly do: "startGateway" }
  /** Make requests wait; which release is active stays as it is. */
  | { readonly do: "hold" }
  /** Wait, up to a deadline, until the release has no request left. */
  | { readonly do: "drain"; readonly release: string }
  /** Stop; `returns`: it comes back by itself when the host or Docker starts anew. */
  | { readonly do: "stop"; readonly release: string; readonly returns: boolean }
  /** Start; `onTrial`: it does not come back by itself. */
  | { readonly do: "start"; readonly release: string; readonly onTrial: boolean }
  /** Wait for a real completion from each of the release's servers. */
  | { readonly do: "probe"; readonly release: string }
  /** Point the gateway at the release, and end a hold. */
  | { readonly do: "switch"; readonly release: string }
  /** A real completion through the gateway, answered by the release. */
  | { readonly do: "verify"; readonly release: string }
  /** Give the release's servers their normal restart policy back. */
  | { readonly do: "settle"; readonly release: string };

/** How a run of the machine ends. */
export type Outcome =
  /** The candidate may be started and measured. */
  | { readonly kind: "ready" }
  | { readonly kind: "serves"; readonly release: string }
  /** No release was active before, and none is. */
  | { readonly kind: "idle" }
  /** The goal can't be reached; `recover` has to follow. */
  | { readonly kind: "failed"; readonly reason: string }
  /** Nothing that passed its gates can be made to serve; a person has to mend it. */
  | { readonly kind: "degraded"; readonly reason: string };

export type Step = { readonly effect: Effect } | { readonly end: Outcome };

/** What this run has learned that can't be seen on the host. */
export interface Progress {
  readonly drained: readonly string[];
  readonly answering: readonly string[];
  readonly verified: readonly string[];
  /** Releases that could not be started, did not answer, or did not answer through the gateway, with why. */
  readonly broken: Readonly<Record<string, string>>;
  /** Failures of effects that are tried again, by their JSON, with the last reason. */
  readonly failures: Readonly<Record<string, { readonly count: number; readonly reason: string }>>;
}
