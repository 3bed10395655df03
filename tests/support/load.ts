import { setTimeout as sleep } from "node:timers/promises";

/** One short chat completion: its text, the server that the gateway asked, and the build that this server says it is. @throws {Error} if it is not answered with 200 and a choice */
export async function chat(
  endpoint: string,
  content = "What is the capital of France?",
): Promise<{ readonly text: string; readonly upstream: string; readonly fingerprint: string }> {
  const response = await fetch(`${endpoint}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content }], max_tokens: 8, temperature: 0, stop: ["\n"] }),
    signal: AbortSignal.timeout(120_000),
  });
  const body = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${body}`);
  const { choices, system_fingerprint: fingerprint } = JSON.parse(body) as {
    choices: { message: { content: string } }[];
    system_fingerprint: string;
  };
  const text = choices[0]?.message.content;
  if (text === undefined) throw new Error(`no choice in ${body}`);
  return { text, upstream: response.headers.get("x-llm-server-upstream") ?? "", fingerprint };
}

/** What became of the requests that were sent all the time. */
export interface LoadReport {
  readonly answered: number;
  readonly failures: readonly string[];
  /** Servers that answered, in the order in which they first did. */
  readonly upstreams: readonly string[];
  /** Longest time until an answer, milliseconds. */
  readonly slowestMs: number;
}

/** Sends requests while `work` runs, each client one after the other, and reports what became of them. */
export async function underLoad<T>(
  endpoint: string,
  work: () => Promise<T>,
  { clients = 1 }: { readonly clients?: number } = {},
): Promise<{ readonly result: T; readonly load: LoadReport }> {
  const failures: string[] = [];
  const upstreams = new Set<string>();
  let answered = 0;
  let slowestMs = 0;
  let isOver = false;
  const client = async (): Promise<void> => {
    while (!isOver) {
      const began = performance.now();
      try {
        upstreams.add((await chat(endpoint)).upstream);
        answered += 1;
        slowestMs = Math.max(slowestMs, performance.now() - began);
      } catch (error) {
        failures.push(String(error));
      }
      await sleep(50);
    }
  };
  const running = Array.from({ length: clients }, client);
  const result = await work().finally(() => (isOver = true));
  await Promise.all(running);
  return { result, load: { answered, failures, upstreams: [...upstreams], slowestMs } };
}
