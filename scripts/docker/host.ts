import Docker from "dockerode";

/**
 * A client for a Docker host given as in DOCKER_HOST; null is what the environment says, else the local socket.
 * @throws {Error} if the scheme is not one of unix, tcp, http, https, ssh.
 */
export function connectDocker(host: string | null): Docker {
  if (host === null) return new Docker();
  if (host.startsWith("unix://")) return new Docker({ socketPath: host.slice("unix://".length) });
  const url = new URL(host);
  const port = url.port === "" ? undefined : Number(url.port);
  if (url.protocol === "ssh:")
    return new Docker({ protocol: "ssh", host: url.hostname, port: port ?? 22, username: decodeURIComponent(url.username) });
  if (url.protocol === "tcp:" || url.protocol === "http:") return new Docker({ protocol: "http", host: url.hostname, port: port ?? 2375 });
  if (url.protocol === "https:") return new Docker({ protocol: "https", host: url.hostname, port: port ?? 2376 });
  throw new Error(`host: got ${JSON.stringify(host)}, expected a unix://, tcp://, http://, https:// or ssh:// address`);
}

/** Whether an image, volume or container exists. @throws {Error} if the engine answers with anything but it or 404 */
export async function exists(thing: { inspect(): Promise<unknown> }): Promise<boolean> {
  try {
    await thing.inspect();
    return true;
  } catch (error) {
    if (dockerStatus(error) === 404) return false;
    throw error;
  }
}

/** HTTP status of an error that dockerode threw; undefined for any other error. */
export function dockerStatus(error: unknown): number | undefined {
  return error instanceof Error && "statusCode" in error && typeof error.statusCode === "number" ? error.statusCode : undefined;
}
