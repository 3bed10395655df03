import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { pack } from "tar-stream";

const manifestType = "application/vnd.docker.distribution.manifest.v2+json";
const digestOf = (content: Buffer): string => `sha256:${createHash("sha256").update(content).digest("hex")}`;

/** An image of one layer with one file. */
interface TinyImage {
  readonly digest: string;
  readonly manifest: Buffer;
  readonly blobs: Readonly<Record<string, Buffer>>;
}

async function makeImage(text: string): Promise<TinyImage> {
  const tar = pack();
  tar.entry({ name: "said", mtime: new Date(0) }, text);
  tar.finalize();
  const layer = await buffer(tar);
  const rootfs = { type: "layers", diff_ids: [digestOf(layer)] };
  const config = Buffer.from(JSON.stringify({ architecture: "amd64", os: "linux", config: {}, rootfs }));
  const blob = (mediaType: string, content: Buffer) => ({ mediaType, size: content.length, digest: digestOf(content) });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: blob("application/vnd.docker.container.image.v1+json", config),
      layers: [blob("application/vnd.docker.image.rootfs.diff.tar", layer)],
    }),
  );
  return { digest: digestOf(manifest), manifest, blobs: { [digestOf(layer)]: layer, [digestOf(config)]: config } };
}

/** A registry on loopback, which Docker asks without TLS, with one repository `base` whose tag `1` can be moved. */
export class TinyRegistry implements AsyncDisposable {
  readonly #server: Server;
  readonly #images: TinyImage[] = [];

  private constructor() {
    this.#server = createServer(({ method, url = "" }, response) => {
      const [, kind, reference = ""] = /^\/v2\/base\/(manifests|blobs)\/(.+)$/.exec(url) ?? [];
      const image = this.#images.find(({ digest }) => digest === reference) ?? (reference === "1" ? this.#images.at(-1) : undefined);
      const content =
        kind === "manifests" ? image?.manifest : this.#images.map(({ blobs }) => blobs[reference]).find((blob) => blob !== undefined);
      if (url !== "/v2/" && content === undefined) return void response.writeHead(404).end();
      const type = kind === "manifests" ? manifestType : "application/octet-stream";
      const digest = image === undefined ? {} : { "docker-content-digest": image.digest };
      response.writeHead(200, { "content-type": type, "content-length": content?.length ?? 0, ...digest });
      response.end(method === "HEAD" ? undefined : content);
    });
  }

  static async start(): Promise<TinyRegistry> {
    const registry = new TinyRegistry();
    await new Promise<void>((resolve) => registry.#server.listen(0, "127.0.0.1", resolve));
    return registry;
  }

  /** Reference of the tag, without a digest. */
  get tag(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}/base:1`;
  }

  /** Makes an image and moves the tag to it; gives its digest. */
  async push(text: string): Promise<string> {
    const image = await makeImage(text);
    this.#images.push(image);
    return image.digest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
