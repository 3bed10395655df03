import { Agent, request, type IncomingHttpHeaders } from "node:http";
import { request as requestByTls, type RequestOptions } from "node:https";
import { connect } from "node:net";
import type { HostileRequest } from "./requests.ts";

const host = "127.0.0.1";

/** Whom to trust, and which name to ask for, where a gateway wants TLS. */
export type Trust = Pick<RequestOptions, "ca" | "servername">;

/** What came back; `cut`: the connection was closed, or the answer did not end in time. */
export interface HostileAnswer {
  readonly status: number | "cut";
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

const cut: HostileAnswer = { status: "cut", headers: {}, text: "" };

/** Sends a hostile request, over TLS where `trust` is given. */
export function sendRequest(port: number, { method, path, headers, body }: HostileRequest, trust?: Trust): Promise<HostileAnswer> {
  return new Promise((resolve) => {
    const length = headers["transfer-encoding"] === undefined ? { "content-length": body.length } : {};
    const all = { "content-type": "application/json", ...length, ...headers };
    const send = trust === undefined ? request : requestByTls;
    const sent = send({ host, port, method, path, timeout: 5_000, headers: all, ...trust }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.once("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
      answer.once("error", () => resolve(cut));
    });
    sent.once("error", () => resolve(cut)).once("timeout", () => sent.destroy());
    sent.end(body);
  });
}

/** Sends bytes on a bare connection, and waits until it ends, two seconds at most. Gives what came back. */
export async function sendBytes(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(port, host, () => socket.write(Buffer.from(bytes, "latin1")));
    socket.setTimeout(2_000, () => socket.destroy());
    socket.setEncoding("latin1").on("data", (part: string) => (answer += part));
    socket.once("error", () => undefined);
    socket.once("close", () => resolve(answer));
  });
}

/** Status of the answer to a GET with this target, whatever it is; 0 where none came. */
export async function getTarget(port: number, target: string): Promise<number> {
  const answer = await sendBytes(port, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0);
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
