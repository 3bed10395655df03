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
  readonly mounts?: readonly {
    readonly target: string;
    readonly source?: string;
    readonly type?: string;
    readonly readOnly?: boolean;
    readonly volumeOptions?: { readonly driverName?: string; readonly driverOptions?: VolumeOptions };
  }[];
  readonly volumes?: readonly {
    readonly containerPath?: string;
    readonly hostPath?: string;
    readonly volumeName?: string;
    /** Everything that this container mounts, in place of a path. */
    readonly fromContainer?: string;
    readonly readOnly?: boolean;
  }[];
  /** As `docker run --gpus` takes them. */
  readonly gpus?: string;
  /** `KEY=value` each; the provider keeps no order. */
  readonly envs?: readonly string[];
  readonly entrypoints?: readonly string[];
  readonly command?: readonly string[];
  readonly workingDir?: string;
}

/** Options of a volume's driver; those of `local` are `type`, `device`, `o` as mount(8) takes them, and `size`. */
export type VolumeOptions = Readonly<Record<string, string>>;

/** A volume as its declaration says (`docker:index/volume:Volume`). */
export interface DeclaredVolume {
  readonly driver?: string;
  readonly driverOpts?: VolumeOptions;
}

/** A network as its declaration says (`docker:index/network:Network`). */
export interface DeclaredNetwork {
  readonly driver?: string;
}

/** Values that the container's environment gives a variable: none where it is not set, several where nobody can say which one holds. */
export function valuesOf({ envs = [] }: DeclaredContainer, name: string): string[] {
  return envs.filter((entry) => entry.startsWith(`${name}=`)).map((entry) => entry.slice(name.length + 1));
}

/** A declared value in a message. */
export const shown = (value: unknown): string => (value === undefined ? "nothing" : JSON.stringify(value));
