import { statfs } from "node:fs/promises";
import { createServer } from "node:net";
import type Docker from "dockerode";
import { z } from "zod";
import { gatewayName, labels } from "../plan/names.ts";
import { connectDocker, exists } from "./docker/host.ts";
import { log, runProgram } from "./program.ts";
import { beforeRollout } from "./serving.ts";

/** Input of this program, from the environment variable `PREFLIGHT_INPUT`. */
const preflightInputSchema = z.strictObject({
  stack: z.string(),
  bind: z.string(),
  port: z.number().int(),
  /** What takes room on the Docker host, and how much; what is there already takes none. No volume: the models lie in a folder elsewhere. */
  room: z.strictObject({
    images: z.array(z.strictObject({ tag: z.string(), bytes: z.number() })),
    volume: z.string().nullable(),
    modelBytes: z.number(),
  }),
});
type PreflightInput = z.infer<typeof preflightInputSchema>;

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** @throws {Error} if no Docker engine answers */
async function checkDocker(docker: Docker): Promise<{ version: string; root: string }> {
  try {
    const { ServerVersion, DockerRootDir } = (await docker.info()) as { ServerVersion: string; DockerRootDir: string };
    return { version: ServerVersion, root: DockerRootDir };
  } catch (error) {
    throw new Error(
      "no Docker engine answers; start it (`npm run setup` does, or `systemctl start docker`), or set DOCKER_HOST to one that runs",
      { cause: error },
    );
  }
}

/** @throws {Error} naming who holds the port, unless it is this stack's own gateway */
async function checkPort(docker: Docker, { stack, bind, port }: PreflightInput): Promise<void> {
  const holders = await docker.listContainers({ filters: { publish: [String(port)] } });
  if (holders.some(({ Labels }) => Labels[labels.stack] === stack && Labels[labels.role] === "gateway")) return;
  const taken = await new Promise<boolean>((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(true));
    probe.listen({ host: bind, port, exclusive: true }, () => probe.close(() => resolve(false)));
  });
  if (!taken) return;
  const names = holders.flatMap(({ Names }) => Names.map((name) => name.slice(1)));
  const who = names.length > 0 ? `container ${names.join(", ")}` : "another program on this machine";
  throw new Error(
    `llm-server:gateway.port: got ${port}, expected a free port on ${bind}: ${who} listens there; stop it, or choose another with \`pulumi config set --path llm-server:gateway.port PORT -s ${stack}\``,
  );
}

/** @throws {Error} if a container of the gateway's name belongs to somebody else */
async function checkName(docker: Docker, stack: string): Promise<void> {
  const name = gatewayName(stack);
  const found = await docker.listContainers({ all: true, filters: { name: [`^/${name}$`] } });
  if (found.every(({ Labels }) => Labels[labels.stack] === stack)) return;
  throw new Error(`container ${name} is there already and is not this stack's; rename or remove it: docker rm ${name}`);
}

/** @throws {Error} if the Docker host's disk has too little room; a remote host's can't be looked at from here */
async function checkSpace(docker: Docker, root: string, { room }: PreflightInput): Promise<number> {
  const volume = room.volume === null || (await exists(docker.getVolume(room.volume)));
  const missing = await Promise.all(room.images.map(async ({ tag, bytes }) => ((await exists(docker.getImage(tag))) ? 0 : bytes)));
  const bytesNeeded = missing.reduce((sum, bytes) => sum + bytes, volume ? 0 : room.modelBytes); // what lacks a file checks its own room when it fetches
  const disk = await statfs(root).catch(() => undefined);
  if (disk === undefined) {
    log(`preflight: ${root} is not on this machine, so its free space was not looked at`);
    return bytesNeeded;
  }
  const free = disk.bavail * disk.bsize;
  if (free < bytesNeeded)
    throw new Error(
      `${root} has ${gib(free)} free, expected at least ${gib(bytesNeeded)} for images and models; free some space: docker system df shows what takes it`,
    );
  return bytesNeeded;
}

await runProgram((signal) => {
  const input = preflightInputSchema.parse(JSON.parse(process.env["PREFLIGHT_INPUT"] ?? "null"));
  return beforeRollout(input.stack, signal, async () => {
    const docker = connectDocker(null);
    const { version, root } = await checkDocker(docker);
    await checkPort(docker, input);
    await checkName(docker, input.stack);
    const bytes = await checkSpace(docker, root, input);
    log(`preflight: Docker ${version}; ${input.bind}:${input.port} free or ours; room for ${gib(bytes)}`);
    return { docker: version };
  });
});
