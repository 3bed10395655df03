import type * as docker from "@pulumi/docker";

/**
 * What every long-running container of the project has in common: nothing is writable but `/tmp` (and what is mounted on purpose), no capability, no way to
 * gain one, an init that reaps, logs that rotate (5 files of 10 MiB). The provider has no input for a pids limit: the rollout sets it before it starts a server.
 * @see docs/security.md
 */
export const hardened = {
  readOnly: true,
  tmpfs: { "/tmp": "rw,noexec,nosuid,nodev,size=64m,mode=1777" },
  capabilities: { drops: ["ALL"] },
  securityOpts: ["no-new-privileges:true"],
  privileged: false,
  init: true,
  logDriver: "json-file",
  logOpts: { "max-size": "10m", "max-file": "5" },
} as const satisfies Partial<docker.ContainerArgs>;
