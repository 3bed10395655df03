import fc from "fast-check";

/** One request as a hostile client may send it. */
export interface HostileRequest {
  readonly method: string;
  /** As it is sent; of the characters that an HTTP client takes as they are. */
  readonly path: string;
  /** Beside the length of the body. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Answers end after a few tokens: what is tried is the reading of a request, not the patience of a CPU. */
const base = { messages: [{ role: "user", content: "hi" }], prompt: "hi", content: "hi", max_tokens: 2, n_predict: 2, temperature: 0 };

/** Fields that the server gives a meaning to, most with a parser or an allocation behind them. */
const field = fc.constantFrom(
  ...["messages", "prompt", "content", "stop", "grammar", "json_schema", "response_format", "tools", "tool_choice", "logit_bias", "seed"],
  ...["temperature", "top_k", "samplers", "n_probs", "logprobs", "top_logprobs", "cache_prompt", "id_slot", "stream", "stream_options"],
  ...["lora", "chat_template_kwargs", "dry_sequence_breakers", "input_prefix", "input_suffix", "mirostat", "min_keep", "t_max_predict_ms"],
);

const nested = (depth: number): unknown => Array.from({ length: depth }).reduce<unknown>((inner) => [inner], 1);

const wild = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(-1, 2 ** 31, -(2 ** 31) - 1, 2 ** 53, 1e308, "", "\u0000", "x".repeat(100_000), nested(2000), {}, [], null, [
    [],
  ]),
  fc.constantFrom<unknown>(
    [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } }] }],
    [{ role: "user", content: [{ type: "image_url", image_url: { url: "file:///etc/passwd" } }] }],
    [{ role: "{{", content: "{% for" }],
    'root ::= "a" root root',
    'root ::= ("a"{0,1000}){0,1000}',
    { type: "json_schema", json_schema: { schema: { $ref: "#" } } },
    { type: "string", pattern: "^(a+)+$" },
    [[0, false]],
    [[2 ** 40, 100]],
    Array.from({ length: 3000 }, (_, index) => index),
  ),
  fc.string({ unit: "binary", maxLength: 40 }),
);

const jsonBody = fc
  .uniqueArray(fc.tuple(field, wild), { selector: ([name]) => name, minLength: 1, maxLength: 3 })
  .map((changes) => text(JSON.stringify({ ...base, ...Object.fromEntries(changes) })));

/** JSON with a cut, or with bytes in it that are no UTF-8. */
const brokenBody = fc
  .tuple(jsonBody, fc.nat(), fc.uint8Array({ maxLength: 6 }))
  .map(([body, at, bytes]) =>
    Uint8Array.from([...body.subarray(0, at % body.length), ...bytes, ...body.subarray((at % body.length) + 3)].slice(0, 4000)),
  );

const path = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      ...[
        "/v1/chat/completions",
        "/completion",
        "/v1/completions",
        "/infill",
        "/tokenize",
        "/detokenize",
        "/apply-template",
        "/v1/messages",
      ],
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...["/v1/embeddings", "/rerank", "/props", "/slots/0?action=restore", "/lora-adapters", "/v1/responses", "/tools", "/models/load"],
      ...["/-/metrics", "/-/health", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", `/${"a".repeat(9000)}`, "/\u00ff"],
    ),
  },
);

/** Headers that a gateway or a server gives a meaning to; no one of them is a valid key. */
const headers = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Record<string, string>>({}) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Record<string, string>>(
      ...[
        { authorization: "Bearer " },
        { authorization: `Bearer ${"0".repeat(64)}` },
        { "x-api-key": '"' },
        { "x-api-key": "{file./etc/passwd}" },
      ],
      ...[{ "content-type": "multipart/form-data; boundary=x" }, { "content-type": "text/plain" }, { "content-type": "a".repeat(4000) }],
      ...[{ "x-original-url": "/slots", "x-forwarded-for": "127.0.0.1" }, { "x-http-method-override": "GET" }, { range: "bytes=9-0,-1" }],
      ...[{ connection: "upgrade", upgrade: "websocket" }, { expect: "100-continue" }, { "accept-encoding": "br;q=-1, zstd" }],
    ),
  },
);

/** Requests with every kind of wrong content. */
export const hostileRequest: fc.Arbitrary<HostileRequest> = fc.record({
  method: fc.constantFrom("POST", "POST", "POST", "POST", "PUT", "DELETE", "OPTIONS"),
  path,
  headers,
  body: fc.oneof(
    { weight: 6, arbitrary: jsonBody },
    { weight: 2, arbitrary: brokenBody },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  ),
});

/** Ways to write the path of what the gateway keeps to itself, `/name`, as a request's target: none may reach a server that makes the same path of it. */
export const hiddenTargets = (name: string): string[] => [
  ...[
    `http:%2f${name}`,
    `http:${name}`,
    `x:%2f${name}`,
    `http://127.0.0.1/${name}`,
    `http:/${name}`,
    `http:///${name}`,
    `%2f${name}`,
    name,
  ],
  ...[`/${name}`, `//${name}`, `/%2f${name}`, `/./${name}`, `/%2e/${name}`, `/v1/../${name}`, `/v1/%2e%2e/${name}`, `/v1%2f..%2f${name}`],
  ...[
    `/%${name.charCodeAt(0).toString(16)}${name.slice(1)}`,
    `/%25${name.charCodeAt(0).toString(16)}${name.slice(1)}`,
    `/${name.toUpperCase()}`,
  ],
  ...[
    `/${name}/`,
    `/${name};x`,
    `/${name}?x`,
    `/${name}%3fx`,
    `/${name}#x`,
    `/${name}%23x`,
    `/${name}%00`,
    `/${name}%20`,
    `\\${name}`,
    `/\\${name}`,
  ],
];

/** What no HTTP client sends: bytes for a bare connection. */
export const hostileBytes: readonly (readonly [string, string])[] = [
  ["no HTTP at all", "\u0000\u0001\u0002\r\n\r\n"],
  ["a header without end", `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"a".repeat(2_000_000)}`],
  ["thousands of headers", `GET / HTTP/1.1\r\nHost: localhost\r\n${"A: b\r\n".repeat(50_000)}\r\n`],
  ["two lengths", "POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\nabcd"],
  [
    "a length and chunks",
    "POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /props HTTP/1.1\r\n\r\n",
  ],
  [
    "a chunk of an absurd size",
    "POST /completion HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\nabc",
  ],
  ["less body than promised", "POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{"],
  ["a proxy request", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n"],
  ["another host's URL", "GET http://127.0.0.1:2019/config/ HTTP/1.1\r\nHost: 127.0.0.1:2019\r\n\r\n"],
];
