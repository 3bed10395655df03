import { posix } from "node:path";
import { modelsDir } from "../server-container.ts";
import { shown, type DeclaredContainer, type DeclaredVolume, type VolumeOptions } from "./container.ts";
import { controlsHost, isWithin } from "./host-path.ts";
import { modelFilesIn } from "./model-files.ts";

/** One place of the host, or volume, that a container sees. */
interface DeclaredMount {
  /** Where the container sees it. */
  readonly target: string;
  readonly readOnly: boolean;
  /** Volume name or path on the host; empty where Docker makes an anonymous volume. A function: what is mounted is often known later than where. */
  readonly source: () => string;
}

/** Everything that is mounted by itself, whichever of the provider's two inputs declares it; memory (`tmpfs`) is not among it. */
function mountsOf({ mounts = [], volumes = [] }: DeclaredContainer): DeclaredMount[] {
  return [
    ...mounts
      .filter(({ type }) => type !== "tmpfs")
      .map((mount) => ({ target: mount.target, readOnly: mount.readOnly ?? false, source: () => mount.source ?? "" })),
    ...volumes.flatMap((volume) => {
      const { containerPath = "", readOnly = false } = volume;
      const source = (): string => [volume.hostPath, volume.volumeName].find((given) => given !== undefined && given !== "") ?? "";
      return containerPath === "" ? [] : [{ target: containerPath, readOnly, source }];
    }),
  ];
}

/** Docker takes a source with a slash in front for a path of the host, in whichever property it stands, and any other for a volume's name. */
const isHostPath = (source: string): boolean => source.startsWith("/");

/** File systems that a volume's driver may mount: a folder of the host, one of another machine, memory. Others (`proc`, `overlay`, …) show the host. */
const volumeTypes = ["none", "bind", "nfs", "nfs4", "cifs", "tmpfs"];

/** What a volume shows of the host; `device` is judged whatever the type says, because with the option `bind` the kernel does not look at it. */
function hostBehind(what: string, driver: string | undefined, { type, device }: VolumeOptions): string[] {
  const allowed = "expected no folder that the host is controlled by";
  return [
    ...(["", "local"].includes(driver ?? "")
      ? []
      : [`${what}: got driver ${shown(driver)}, expected local: what another mounts can't be seen`]),
    ...(type === undefined || volumeTypes.includes(type)
      ? []
      : [`${what}: got type ${shown(type)}, expected one of ${volumeTypes.join(", ")}`]),
    ...(device !== undefined && controlsHost(device) ? [`${what}: got device ${shown(device)}, ${allowed}`] : []),
  ];
}

/** A volume that is a folder by which the host is controlled. */
export const engineVolume = ({ driver, driverOpts = {} }: DeclaredVolume): string[] => hostBehind("driverOpts", driver, driverOpts);

/** Sockets, and folders that hold them: whoever can use the engine is root on the host, and so is who can write its settings. */
export function engineAccess(container: DeclaredContainer): string[] {
  const { mounts = [], volumes = [] } = container;
  return [
    ...mountsOf(container)
      .map(({ source, target }) => ({ source: source(), target }))
      .filter(({ source }) => isHostPath(source) && controlsHost(source))
      .map(({ source, target }) => `mounts: got ${source} at ${target}, expected no folder that the host is controlled by, and no socket`),
    ...volumes.flatMap(({ fromContainer = "" }) =>
      fromContainer === "" ? [] : [`volumes: got all that ${fromContainer} mounts, expected each mount by itself: others can't be judged`],
    ),
    ...mounts.flatMap(({ volumeOptions: { driverName, driverOptions = {} } = {} }) => [
      ...hostBehind("mounts.volumeOptions", driverName, {}),
      ...(Object.keys(driverOptions).length === 0
        ? []
        : ["mounts.volumeOptions.driverOptions: expected none: a volume with options is a resource of its own"]),
    ]),
  ];
}

/** Whether writing to one source changes the other. */
function overlaps(one: string, other: string): boolean {
  if (!isHostPath(one) || !isHostPath(other)) return one === other && one !== "";
  const [first, second] = [posix.resolve(one), posix.resolve(other)];
  return isWithin(first, second) || isWithin(second, first);
}

/** Writable mounts that hold models: at `/models` or below, where llama-server is told to load a file from, and what is the same volume or folder as such a mount. */
export function writableModels(container: DeclaredContainer): string[] {
  const files = modelFilesIn(container);
  const holdsModels = ({ target }: DeclaredMount): boolean => {
    const folder = posix.resolve("/", target);
    return isWithin(folder, modelsDir) || files.some((file) => isWithin(file, folder));
  };
  const mounts = mountsOf(container);
  const models = mounts.filter(holdsModels);
  return mounts
    .filter(({ readOnly }) => !readOnly)
    .filter((mount) => holdsModels(mount) || models.some(({ source }) => overlaps(source(), mount.source())))
    .map(({ target }) => `mounts: got ${target} writable, expected readOnly: true: a file replaced under a server changes its answers`);
}
