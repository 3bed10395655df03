import type Docker from "dockerode";
import type { Completion } from "../../plan/drift/observation.ts";
import { gatewayName } from "../../plan/names.ts";
import type { Asked, AskedServer } from "../../plan/trouble.ts";
import { complete } from "../drift/completion.ts";
import { inspectDeclared } from "../drift/containers.ts";
import { logTail, serverUrl } from "../gates/candidate.ts";
import { describeServer, exchange, type ChatServer } from "../gates/chat-client.ts";
import { describeError } from "../program.ts";
import { reachGateway } from "../rollout/reach-gateway.ts";

/** The shortest question that takes a whole server to answer. */
const question = { messages: [{ role: "user", content: "Say yes." }], max_tokens: 1, temperature: 0 };
/** Longest wait for its answer, milliseconds: people wait for what `status` says. */
const answerMs = 10_000;
/** Longest wait for what a health check says, milliseconds. */
const healthMs = 2_000;
/** Most characters of a log's last line that are shown. */
const lineChars = 200;

/** Asks a stack through its gateway, of several servers also each alone, and looks at them; closer where no answer comes. */
export async function askStack(docker: Docker, stack: string, servers: readonly string[]): Promise<Asked> {
  const reached = await Promise.all(servers.map((name) => reachServer(docker, name)));
  const workers = reached.filter((server) => server !== undefined);
  const askAlone = async (server: ChatServer | undefined): Promise<Completion | null> =>
    server === undefined || servers.length === 1 ? null : complete(server, answerMs, { question });
  const [completion, own] = await Promise.all([askGateway(docker, stack, workers), Promise.all(reached.map(askAlone))]);
  return { completion, servers: await Promise.all(servers.map((name, at) => lookAt(docker, name, own[at] ?? null, completion))) };
}

async function askGateway(docker: Docker, stack: string, workers: readonly ChatServer[]): Promise<Completion> {
  try {
    return await complete(await reachGateway(docker.getContainer(gatewayName(stack))), answerMs, { question, workers });
  } catch (error) {
    return { kind: "failed", reason: describeError(error) };
  }
}

/** Where a server listens; undefined while it has no address, because Docker starts it again. */
async function reachServer(docker: Docker, name: string): Promise<ChatServer | undefined> {
  try {
    return await describeServer(await serverUrl(docker.getContainer(name)), null);
  } catch {
    return undefined;
  }
}

async function lookAt(docker: Docker, name: string, own: Completion | null, throughGateway: Completion): Promise<AskedServer> {
  const { seen } = await inspectDeclared(docker, { name });
  const answers = (own ?? throughGateway).kind === "answered";
  if (seen === null || (answers && seen.status === "running")) return { name, seen, lastLine: "", health: "", own };
  return { name, seen, lastLine: await readLastLine(docker, name), health: await readHealth(docker, name), own };
}

async function readLastLine(docker: Docker, name: string): Promise<string> {
  const line = await logTail(docker.getContainer(name), 1);
  return line.length > lineChars ? `${line.slice(0, lineChars)}…` : line;
}

async function readHealth(docker: Docker, name: string): Promise<string> {
  const server = await reachServer(docker, name);
  if (server === undefined) return "";
  return exchange(server, "/health", undefined, AbortSignal.timeout(healthMs)).then(
    ({ body }) => body,
    () => "", // that it does not answer is known already
  );
}
