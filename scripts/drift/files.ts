import { existsSync } from "node:fs";
import { posix } from "node:path";
import type Docker from "dockerode";
import { parseModelSource } from "../../plan/config/models.ts";
import type { Declared, DeclaredFile } from "../../plan/drift/declared.ts";
import { isTouched, needsHash, type HashPolicy, type VerifiedFile } from "../../plan/drift/hashing.ts";
import type { FileSeen, FileStat } from "../../plan/drift/observation.ts";
import { modelsDir } from "../../plan/server-container.ts";
import { execText } from "../docker/exec.ts";
import { Helper, storeDir } from "../docker/helper.ts";
import { exists } from "../docker/host.ts";
import { describeError } from "../program.ts";

/** What was learned of a stack's model files. */
export interface FilesSeen {
  readonly files: readonly FileSeen[];
  /** Files that were read whole, with why. */
  readonly hashed: Readonly<Record<string, string>>;
  /** Files whose checksum is now known to be right, by path. */
  readonly verified: Readonly<Record<string, VerifiedFile>>;
}

/** Seconds and fractions of a time that `stat` prints, as milliseconds. */
const statFormat = "%s %i %.9Y %.9Z";

function parseStat(text: string | undefined): FileStat | null {
  const [bytes, inode, modified, changed] = text?.trim().split(" ") ?? [];
  if (bytes === undefined || inode === undefined || modified === undefined || changed === undefined) return null;
  return { bytes: Number(bytes), inode, modifiedMs: Number(modified) * 1000, changedMs: Number(changed) * 1000 };
}

/**
 * Looks at every declared model file: as a new container would find it, as each running server's container has it, and which inode the server's process
 * has mapped. A file is read whole only where the policy says so.
 */
export async function lookAtFiles(
  docker: Docker,
  declared: Declared,
  running: readonly string[],
  last: Readonly<Record<string, VerifiedFile>>,
  policy: HashPolicy,
): Promise<FilesSeen> {
  const { models, helperImage, stack, files } = declared;
  if (models === null || helperImage === null || files.length === 0 || !(await exists(docker.getImage(helperImage))))
    return { files: [], hashed: {}, verified: {} };
  const servers = Promise.all(running.map((name) => lookInside(docker, name, files)));
  await using helper = await openModels(docker, helperImage, models, stack);
  const looked = await Promise.all(files.map((file) => lookAt(helper, file, last[file.path], policy)));
  const inServers = (await servers).flatMap((server) => server ?? []);
  return {
    files: looked.map(({ seen }, index) => ({
      ...seen,
      inServers: inServers.map(({ server, files: own }) => ({ server, ...(own[index] ?? { stat: null, mapped: [] }) })),
    })),
    hashed: Object.fromEntries(looked.flatMap(({ seen, reason }) => (reason === null ? [] : [[seen.path, reason]]))),
    verified: Object.fromEntries(looked.flatMap(({ seen, verified }) => (verified === undefined ? [] : [[seen.path, verified]]))),
  };
}

/** A helper with the models mounted; undefined where there is no such volume or folder, which a mount would make or refuse. */
async function openModels(docker: Docker, image: string, models: string, stack: string): Promise<Helper | undefined> {
  const isFolder = models.startsWith("/");
  if (!isFolder && !(await exists(docker.getVolume(models)))) return undefined;
  try {
    return await Helper.start(docker, image, { source: models, hostPath: isFolder ? models : undefined, stack });
  } catch (error) {
    if (isFolder && /bind source path does not exist/.test(describeError(error))) return undefined;
    throw error;
  }
}

async function lookAt(
  helper: Helper | undefined,
  file: DeclaredFile,
  last: VerifiedFile | undefined,
  policy: HashPolicy,
): Promise<{ seen: Omit<FileSeen, "inServers">; reason: string | null; verified: VerifiedFile | undefined }> {
  const path = posix.join(storeDir, file.path);
  const looked = await helper?.run(["stat", "-L", "-c", statFormat, path]);
  const stat = parseStat(looked?.code === 0 ? looked.stdout.toString("utf8") : undefined);
  const hasSource = await canBeFetched(helper, file);
  if (helper === undefined || stat === null)
    return { seen: { path: file.path, stat, sha256: null, unchecked: null, hasSource }, reason: null, verified: undefined };
  const nowMs = Date.now();
  const reason = needsHash(file, stat, last, policy, nowMs);
  const sha256 = reason === null ? null : (await helper.read(["sha256sum", path])).slice(0, 64);
  const unchecked =
    sha256 === null && stat.bytes === file.bytes && isTouched(file, stat, last)
      ? "its metadata changed, and checksums were not wanted"
      : null;
  const isRight = sha256 === file.sha256;
  const known = last?.sha256 === file.sha256 ? last.verifiedAtMs : file.verifiedAtMs;
  const isWorthKeeping = isRight || (stat.bytes === file.bytes && !isTouched(file, stat, last));
  const verified = isWorthKeeping
    ? { sha256: file.sha256, stat, verifiedAtMs: isRight ? nowMs : Math.max(known, file.verifiedAtMs) }
    : undefined;
  return { seen: { path: file.path, stat, sha256, unchecked, hasSource }, reason, verified };
}

/** Whether one of a file's sources is worth a try: an address always is, a file has to be there; so is a file of that name in the volume's top folder. */
async function canBeFetched(helper: Helper | undefined, { sources, path }: DeclaredFile): Promise<boolean> {
  const parsed = sources.map((text) => parseModelSource(text));
  if (parsed.some((source) => source !== undefined && (source.kind !== "file" || existsSync(source.path)))) return true;
  return (await helper?.run(["test", "-e", posix.join(storeDir, posix.basename(path))]))?.code === 0;
}

/** The files as a running server's own container has them; undefined where nothing can be run in it. */
async function lookInside(
  docker: Docker,
  server: string,
  files: readonly DeclaredFile[],
): Promise<{ server: string; files: { stat: FileStat | null; mapped: string[] }[] } | undefined> {
  const container = docker.getContainer(server);
  try {
    const maps = (await execText(container, ["sh", "-c", "cat /proc/[0-9]*/maps 2>/dev/null; true"])) ?? "";
    const own = await Promise.all(
      files.map(async ({ path }) => {
        const inside = posix.join(modelsDir, path);
        const stat = parseStat(await execText(container, ["stat", "-L", "-c", statFormat, inside]));
        return { stat, mapped: mappedInodes(maps, inside) };
      }),
    );
    return { server, files: own };
  } catch {
    return undefined; // it stopped meanwhile; its container is judged apart
  }
}

/** Inodes under which processes have a path mapped, one that was renamed or deleted since too: `address perms offset dev inode path`. */
function mappedInodes(maps: string, path: string): string[] {
  const inodes = maps.split("\n").flatMap((line) => {
    const [, , , , inode, ...name] = line.trim().split(/\s+/);
    return inode !== undefined && name.join(" ").startsWith(path) ? [inode] : [];
  });
  return [...new Set(inodes)];
}
