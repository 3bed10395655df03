import { Agent, request } from "node:http";
import { connect } from "node:net";
import type { HostileRequest } from "./requests.ts";

const host = "127.0.0.1";

/** Sends a hostile request. Gives the status of the answer; `cut` where the connection was closed or the answer did not end in time. */
export function sendRequest(port: number, { method, path, body }: HostileRequest): Promise<number | "cut"> {
  return new Promise((resolve) => {
    const headers = { "content-type": "application/json", "content-length": body.length };
    const sent = request({ host, port, method, path: encodeURI(path), timeout: 5_000, headers }, (answer) => {
      answer.resume();
      answer.once("end", () => resolve(answer.statusCode ?? 0)).once("error", () => resolve("cut"));
    });
    sent.once("error", () => resolve("cut")).once("timeout", () => sent.destroy());
    sent.end(body);
  });
}

/** Sends bytes on a bare connection, and waits until it ends, two seconds at most. */
export async function sendBytes(port: number, bytes: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = connect(port, host, () => socket.write(Buffer.from(bytes, "latin1")));
    socket.setTimeout(2_000, () => socket.destroy());
    socket.resume().once("error", () => undefined);
    socket.once("close", () => resolve());
  });
}

/** Begins as many requests with a body of this size, of which the last byte is never sent; gives what ends them. */
export function beginLargeRequests(port: number, count: number, bytes: number): () => void {
  const body = Buffer.alloc(bytes - 1, "a");
  const agent = new Agent({ maxSockets: count });
  const sent = Array.from({ length: count }, () => {
    const each = request({ host, port, method: "POST", path: "/completion", agent, headers: { "content-length": bytes } });
    each.on("error", () => undefined).write(body);
    return each;
  });
  return () => sent.forEach((each) => each.destroy());
}

/** Sends a request with a body of this size, whose length is said or not (`chunked`). Gives the answer's status and text. */
export function sendLargeRequest(port: number, bytes: number, length: "said" | "chunked"): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const headers = length === "said" ? { "content-length": bytes } : { "transfer-encoding": "chunked" };
    const sent = request({ host, port, method: "POST", path: "/completion", headers }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.once("end", () => resolve([answer.statusCode ?? 0, text])).once("error", reject);
    });
    sent.once("error", reject).end(Buffer.alloc(bytes, "a"));
  });
}
