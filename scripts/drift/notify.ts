import { execa } from "execa";
import { describeError, log } from "../program.ts";

/** Where a report goes; both may be given. */
export interface Hooks {
  /** Shell command that gets the JSON on its standard input. */
  readonly command?: string | undefined;
  /** Address that gets the JSON by POST; it may hold a secret and is never shown. */
  readonly url?: string | undefined;
}

/** Longest a hook may take, milliseconds. */
const hookTimeoutMs = 30_000;

/** Tells every hook. One that fails is said and changes nothing else: whether there is drift does not depend on who hears of it. */
export async function notify(hooks: Hooks, document: unknown): Promise<void> {
  const json = JSON.stringify(document);
  const { command, url } = hooks;
  await Promise.all([command === undefined ? undefined : runHook(command, json), url === undefined ? undefined : postHook(url, json)]);
}

async function runHook(command: string, json: string): Promise<void> {
  const result = await execa("sh", ["-c", command], {
    input: json,
    stdout: process.stderr,
    stderr: "inherit",
    timeout: hookTimeoutMs,
    reject: false,
  });
  if (result.failed)
    log(`drift: the notification command ${result.timedOut ? "took too long" : `failed with exit code ${result.exitCode ?? "none"}`}`);
}

async function postHook(url: string, json: string): Promise<void> {
  const failed = (why: string): void => log(`drift: the notification to ${hostOf(url)} failed: ${why.replaceAll(url, "<address>")}`);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: json,
      redirect: "error", // a report goes where it was sent, nowhere else
      signal: AbortSignal.timeout(hookTimeoutMs),
    });
    await response.body?.cancel();
    if (!response.ok) failed(`status ${response.status}`);
  } catch (error) {
    failed(describeError(error));
  }
}

/** The one part of an address that holds no secret. */
const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : "an address that is none");
