import type { IncomingMessage } from "node:http";
import type Docker from "dockerode";
import { z } from "zod";
import { dockerStatus } from "./host.ts";

/** A path in a container's file system. */
export interface PathStat {
  /** Where a symbolic link points, as an absolute path in the container; empty for anything else. */
  readonly linkTarget: string;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
}

/** What the engine says of a path, base64 of this in a header. @see https://docs.docker.com/reference/api/engine/ "Get information about files in a container" */
const statHeader = "x-docker-container-path-stat";
const statSchema = z.object({ linkTarget: z.string(), mtime: z.iso.datetime({ offset: true }) });

/**
 * What lies at a path in a container, running or not; undefined where nothing does. The engine looks by itself, an order of magnitude faster than a
 * command inside the container would.
 * @throws {Error} if the engine knows no such container, or answers something else
 */
export async function statPath(container: Docker.Container, path: string): Promise<PathStat | undefined> {
  const answer = await ask(container, path);
  if (answer === undefined) return undefined;
  const header = String(answer.headers[statHeader] ?? "");
  const { linkTarget, mtime } = statSchema.parse(JSON.parse(Buffer.from(header, "base64").toString("utf8")));
  return { linkTarget, modifiedMs: Date.parse(mtime) };
}

async function ask(container: Docker.Container, path: string): Promise<IncomingMessage | undefined> {
  try {
    const answer = (await container.infoArchive({ path })) as IncomingMessage;
    answer.resume();
    return answer;
  } catch (error) {
    if (dockerStatus(error) !== 404) throw error;
    await container.inspect(); // an answer to HEAD doesn't say whether the container or the path is missing
    return undefined;
  }
}
