import { posix } from "node:path";

/** Whether `path` is `folder` or lies below it; both absolute and normalised. */
export const isWithin = (path: string, folder: string): boolean => `${path}/`.startsWith(folder === "/" ? folder : `${folder}/`);

/** Folders through which a host is controlled: sockets of engines and init, processes, devices, settings, root's keys, the engines' own state. */
const controlling = ["/run", "/var/run", "/proc", "/sys", "/dev", "/etc", "/root/.ssh", "/var/lib/docker", "/var/lib/containerd"];

/**
 * Whether a container that sees `path` of the Docker host may control the host by it: a socket, one of the folders above, what is below one, or what holds one.
 * By the text alone: where a link leads is for the host to say. A relative path counts from the root, which is where the engine works.
 */
export function controlsHost(path: string): boolean {
  const resolved = posix.resolve("/", path);
  return resolved.endsWith(".sock") || controlling.some((folder) => isWithin(resolved, folder) || isWithin(folder, resolved));
}
