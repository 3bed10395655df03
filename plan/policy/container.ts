/**
 * A container as its declaration says, in the property names of the Docker provider (`docker:index/container:Container`). What a program does not
 * give is absent; a value that is not known before the deployment may throw when it is read.
 */
export interface DeclaredContainer {
  readonly image?: string;
  readonly user?: string;
  readonly privileged?: boolean;
  readonly readOnly?: boolean;
  readonly init?: boolean;
  /** Mount options by path. */
  readonly tmpfs?: Readonly<Record<string, string>>;
  readonly devices?: readonly { readonly hostPath: string }[];
  readonly capabilities?: { readonly adds?: readonly string[]; readonly drops?: readonly string[] };
  readonly securityOpts?: readonly string[];
  /** MiB. */
  readonly memory?: number;
  /** Memory and swap together, MiB. */
  readonly memorySwap?: number;
  readonly logDriver?: string;
  readonly logOpts?: Readonly<Record<string, string>>;
  readonly ports?: readonly { readonly internal: number; readonly external?: number; readonly ip?: string }[];
  readonly publishAllPorts?: boolean;
  readonly networkMode?: string;
  readonly pidMode?: string;
  readonly ipcMode?: string;
  readonly mounts?: readonly {
    readonly target: string;
    readonly source?: string;
    readonly type?: string;
    readonly readOnly?: boolean;
  }[];
  readonly volumes?: readonly {
    readonly containerPath?: string;
    readonly hostPath?: string;
    readonly volumeName?: string;
    readonly readOnly?: boolean;
  }[];
  /** As `docker run --gpus` takes them. */
  readonly gpus?: string;
  /** `KEY=value` each. */
  readonly envs?: readonly string[];
  readonly entrypoints?: readonly string[];
  readonly command?: readonly string[];
}

/** One place of the host, or volume, that a container sees. */
export interface DeclaredMount {
  /** Where the container sees it. */
  readonly target: string;
  readonly readOnly: boolean;
  /** Volume name or path on the host; empty where Docker makes an anonymous volume. A function: what is mounted is often known later than where. */
  readonly source: () => string;
}

/** Everything that is mounted, whichever of the provider's two inputs declares it; `tmpfs` is not among it. */
export function mountsOf({ mounts = [], volumes = [] }: DeclaredContainer): DeclaredMount[] {
  return [
    ...mounts
      .filter(({ type }) => type !== "tmpfs")
      .map((mount) => ({ target: mount.target, readOnly: mount.readOnly ?? false, source: () => mount.source ?? "" })),
    ...volumes.map((volume) => ({
      target: volume.containerPath ?? "",
      readOnly: volume.readOnly ?? false,
      source: () => volume.hostPath ?? volume.volumeName ?? "",
    })),
  ];
}

/** Value of an environment variable of the container; undefined where it is not set. */
export function environmentOf({ envs = [] }: DeclaredContainer, name: string): string | undefined {
  return envs.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
}
