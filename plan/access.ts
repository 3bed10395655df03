import { z } from "zod";

/**
 * Who gets past the gateway, and how: API keys, TLS, and whose web pages. The gateway's environment says what it wants (`GATEWAY_ACCESS`, `GATEWAY_TLS`), so that
 * whoever looks at the container knows how to reach it; the keys and a given certificate lie in its volume, so that they change without another container.
 * @see docker/gateway/Caddyfile
 */

/** Folder of the keys and of a given certificate in the gateway's container; its owner is the container's user, nobody else may enter it. */
export const accessDir = "/state/access";
/** Accepted API keys, one a line, 0400. Read by the gateway for each request. */
export const keysFile = `${accessDir}/keys`;
/** A given certificate with its chain and its private key, in one file so that a renewal is one rename, 0400. */
export const certificateFile = `${accessDir}/certificate.pem`;
/** Root certificate of the CA that Caddy keeps in the gateway's volume. */
export const rootCertificateFile = "/state/caddy/pki/authorities/local/root.crt";

const hostPath = z.string().regex(/^\/[^\0]*$/, "an absolute path on the Docker host");
const ip = z.union([z.ipv4(), z.ipv6()]);
const isAddress = (name: string): boolean => ip.safeParse(name).success;
const hostName = z.union([ip, z.string().regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/)], {
  error: "a host name in lower case or an IP address, as clients write it",
});
const names = z
  .array(hostName)
  .min(1)
  .refine((all) => all.filter(isAddress).length < 2, {
    error: "at most one IP address among the names: a client that connects to an address names none",
  });

/**
 * TLS of the gateway. `internal`: certificates by a CA of the stack's own, which Caddy keeps; `files`: a certificate with its chain, and its private key, PEM,
 * on the Docker host. `names` are the host names and the address that clients use; the first one is in the endpoint.
 */
export const tlsSchema = z.discriminatedUnion(
  "mode",
  [
    z.strictObject({ mode: z.literal("internal"), names }),
    z.strictObject({ mode: z.literal("files"), names, certificate: hostPath, key: hostPath }),
  ],
  { error: "mode internal (a CA of the stack's own) or files (certificate and key of yours)" },
);
export type TlsConfig = z.infer<typeof tlsSchema>;

/**
 * An address as a browser names it that has a page from there: `Origin`. Browsers write it in lower case, without a path, and without the scheme's own port; other
 * schemes than http and https are those of programs with pages of their own (`app://`, `chrome-extension://`).
 */
export const originSchema = z.string().refine(isOrigin, {
  error: "an origin as browsers write it: lower case, no path, no port where it is the scheme's own, e.g. https://chat.example.org",
});

function isOrigin(text: string): boolean {
  if (!/^[a-z][a-z0-9+.-]*:\/\/([a-z0-9._-]+|\[[0-9a-f:]+\])(:\d+)?$/.test(text)) return false;
  return !/^https?:/.test(text) || URL.parse(text)?.origin === text;
}

/** Host of a web page's origin; none for other programs' pages, whose host is no name that anybody looks up. */
const hostOf = (origin: string): string[] => (/^https?:/.test(origin) ? [new URL(origin).hostname.replace(/^\[|\]$/g, "")] : []);

/** Shortest API key: what 128 bits take in hexadecimal digits. Nothing slows a caller that guesses. */
export const shortestKey = 32;

/** One API key: visible characters that a header takes as they are. */
export const apiKeySchema = z
  .string()
  .regex(
    new RegExp(`^[A-Za-z0-9._~+/=-]{${shortestKey},256}$`),
    `text of ${shortestKey} to 256 letters, digits and . _ ~ + / = -, e.g. by: openssl rand -hex 32`,
  );

/** What a gateway asks of its callers. */
export interface Access {
  readonly wantsKey: boolean;
  /** Null: plain HTTP. `name` is whose certificate a caller gets that names no host. */
  readonly tls: { readonly mode: TlsConfig["mode"]; readonly name: string } | null;
}

/** Whether only this host's own users reach an address. */
export const isLoopback = (address: string): boolean => /^(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1)$/.test(address);

/** Whether an address may be published: everybody reaches it, so it takes a key and TLS unless it is loopback. Docker publishes past most host firewalls. */
export const mayPublish = (address: string, { wantsKey, tls }: Access): boolean => isLoopback(address) || (wantsKey && tls !== null);

/** Access that a gateway with these settings has. */
export function planAccess(wantsKey: boolean, tls: TlsConfig | undefined): Access {
  const name = tls?.names.find(isAddress) ?? tls?.names[0];
  return { wantsKey, tls: tls === undefined || name === undefined ? null : { mode: tls.mode, name } };
}

/** Where callers say that a gateway is, and from where pages may ask one that wants no key. */
export interface Callers {
  /** Names and address of the certificate; empty without TLS. */
  readonly names: readonly string[];
  /** Origins beside this host's own. */
  readonly origins: readonly string[];
}

/** Environment of a gateway's container, `KEY=value` each; empty for an open one. `port` is where Caddy listens. */
export function accessEnvironment({ wantsKey, tls }: Access, { names, origins }: Callers, port: number): string[] {
  const issued = tls?.mode === "internal" ? names : []; // a given certificate says itself whose it is
  const sites = ["", ...issued.map(bracketed)].map((host) => `https://${host}:${port}`);
  const hosts = [...names, ...origins.flatMap(hostOf)].filter((host) => !isAddress(host)); // addresses are taken as they are
  return [
    ...(wantsKey ? ["GATEWAY_ACCESS=key"] : []),
    ...(wantsKey || hosts.length === 0 ? [] : [`GATEWAY_HOSTS=${[...new Set(hosts)].join(" ")}`]),
    ...(wantsKey || origins.length === 0 ? [] : [`GATEWAY_ORIGINS=${origins.join(" ")}`]),
    ...(tls === null ? [] : [`GATEWAY_NAME=${tls.name}`, `GATEWAY_SITES=${sites.join(", ")}`, `GATEWAY_TLS=${tls.mode}`]),
  ];
}

/** What a gateway asks of its callers, by its environment; `value` gives a variable's. */
export function readAccess(value: (variable: string) => string | undefined): Access {
  const mode = tlsSchema.options.map((option) => option.shape.mode.value).find((known) => known === value("GATEWAY_TLS"));
  return {
    wantsKey: value("GATEWAY_ACCESS") === "key",
    tls: mode === undefined ? null : { mode, name: value("GATEWAY_NAME") ?? "" },
  };
}

/** A host as a URL has it. */
export const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host);

/** Shell script that puts its standard input into one of the files of {@link accessDir}, whole or not at all, readable by its owner alone. */
export const putSecretScript = (file: string): string =>
  [
    "set -e",
    "umask 077",
    `mkdir -p ${accessDir}`,
    `rm -f ${file}.next`,
    `(umask 377; cat > ${file}.next)`,
    `sync ${file}.next`,
    `mv ${file}.next ${file}`,
    `sync ${accessDir}`,
  ].join("\n");

/** What brings keys and certificate to a gateway, as JSON in the environment variable `ACCESS_INPUT`; the keys themselves are its standard input, one a line. */
export const accessInputSchema = z.strictObject({
  stack: z.string(),
  container: z.string(),
  wantsKey: z.boolean(),
  /** Given certificate; null: none. */
  certificate: z
    .strictObject({
      certificate: z.string(),
      key: z.string(),
      names: z.array(z.string()).min(1),
      /** Of the certificate's file when it was planned, so that a renewed one is brought; null: it can't be read there. */
      sha256: z.string().nullable(),
    })
    .nullable(),
});
export type AccessInput = z.infer<typeof accessInputSchema>;
