import { randomUUID } from "node:crypto";
import type Docker from "dockerode";
import { labels, lockName, objectLabels } from "../../plan/names.ts";
import { lockRecordSchema, type LockRecord } from "../../plan/rollout/records.ts";
import { dockerStatus } from "../docker/host.ts";

/**
 * Locks are containers that are created and never started: a container's name is unique on its Docker host, and creating one either works or fails. One
 * lock per device, over all stacks; its label says who holds it and all that a recovery needs to know.
 */
export interface Lock {
  /** Container id. */
  readonly id: string;
  readonly device: string;
  readonly record: LockRecord;
}

/** Id for the locks of one rollout. */
export const newRolloutId = (): string => randomUUID().slice(0, 8);

/** A device as those know it who are let onto it by a pause. */
export const deviceInPause = (device: string, pause: string): string => `${device}-in-${pause}`;

/** Makes the lock of a device; undefined if somebody holds it. */
export async function tryLock(docker: Docker, device: string, record: LockRecord): Promise<Lock | undefined> {
  try {
    const container = await docker.createContainer({
      name: lockName(device),
      Image: record.helperImage,
      Entrypoint: ["/never-started"],
      Cmd: [],
      NetworkDisabled: true,
      Labels: { ...objectLabels(record.stack, "lock"), [labels.device]: device, [labels.lock]: JSON.stringify(record) },
      HostConfig: { NetworkMode: "none", CapDrop: ["ALL"] },
    });
    return { id: container.id, device, record };
  } catch (error) {
    if (dockerStatus(error) === 409) return undefined;
    throw error;
  }
}

/** All locks on a Docker host, or those of one stack. @throws {Error} naming a lock that can't be read */
export const readLocks = (docker: Docker, stack?: string): Promise<Lock[]> =>
  listLocks(docker, ...(stack === undefined ? [] : [`${labels.stack}=${stack}`]));

async function listLocks(docker: Docker, ...more: readonly string[]): Promise<Lock[]> {
  const label = [`${labels.role}=lock`, ...more];
  const containers = await docker.listContainers({ all: true, filters: { label } });
  return containers.map(({ Id, Labels, Names }) => {
    const parsed = lockRecordSchema.safeParse(JSON.parse(Labels[labels.lock] ?? "null"));
    const name = Names[0]?.slice(1) ?? Id;
    if (!parsed.success)
      throw new Error(`lock ${name} was made by another version of this project; when no rollout runs, remove it: docker rm ${name}`);
    return { id: Id, device: Labels[labels.device] ?? "", record: parsed.data };
  });
}

/** What stands in the way of a device's lock: a lock, or, where `lock` is null, a container that only has its name. */
export interface Holder {
  readonly lock: Lock | null;
  /** Who that is; of a container that is no lock also what to do. */
  readonly who: string;
}

/** Who holds a device's lock; undefined where nobody does any more. @throws {Error} naming the lock if it can't be read */
export async function findHolder(docker: Docker, device: string): Promise<Holder | undefined> {
  const [lock] = await listLocks(docker, `${labels.device}=${device}`); // one of another device may be unreadable
  if (lock !== undefined) return { lock, who: describeLock(lock) };
  const name = lockName(device);
  const [stranger] = await docker.listContainers({ all: true, filters: { name: [`^/${name}$`] } });
  if (stranger === undefined || stranger.Labels[labels.device] === device) return undefined; // a lock that was made just now
  return {
    lock: null,
    who: `container ${name} has the name of a lock and is none; if nobody needs it, remove it: docker rm --force ${name}`,
  };
}

/** Takes a lock away; does nothing if it is gone. */
export async function removeLock(docker: Docker, { id }: Pick<Lock, "id">): Promise<void> {
  try {
    await docker.getContainer(id).remove({ force: true });
  } catch (error) {
    if (dockerStatus(error) !== 404 && dockerStatus(error) !== 409) throw error; // 409: somebody else is removing it
  }
}

/** One line: who holds a lock, and for what. */
export function describeLock({ device, record }: Lock): string {
  const { stack, candidate } = record;
  const what = candidate === null ? "keeps it free" : `tries release ${candidate}`;
  return `${device}: stack ${stack} ${what} ${describeOwner({ record })}`;
}

/** Which process holds a lock, and since when. */
export const describeOwner = ({ record: { owner, since } }: Pick<Lock, "record">): string =>
  `since ${since} (process ${owner.pid} of ${owner.user} on ${owner.hostname})`;
