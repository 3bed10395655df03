import type { Readable } from "node:stream";
import type Docker from "dockerode";
import type { VolumePlan } from "../../plan/models/store.ts";
import { guardContainer } from "../gates/guarded.ts";
import { helperLabels } from "./helper-labels.ts";
import { execIn, readExec, type ExecResult } from "./exec.ts";

/** Where the volume is mounted in a helper. */
export const storeDir = "/store";

/**
 * A short-lived container with a volume mounted, in which small POSIX tools run: no network, no capability but the one that lets root write
 * into folders of other users. It is removed when it is disposed of, and by a guard when this process ends in another way.
 */
export class Helper implements AsyncDisposable {
  readonly #container: Docker.Container;

  readonly #endGuard: () => void;

  private constructor(container: Docker.Container) {
    this.#container = container;
    this.#endGuard = guardContainer(null, container.id);
  }

  static async start(docker: Docker, image: string, volume: Pick<VolumePlan, "source" | "hostPath" | "stack">): Promise<Helper> {
    const container = await docker.createContainer({
      Image: image,
      Entrypoint: ["sleep", "infinity"],
      User: "0:0",
      Labels: await helperLabels(volume.stack),
      HostConfig: {
        AutoRemove: true,
        Init: true,
        NetworkMode: "none",
        CapDrop: ["ALL"],
        CapAdd: ["DAC_OVERRIDE"],
        SecurityOpt: ["no-new-privileges:true"],
        ReadonlyRootfs: true,
        Mounts: [{ Type: volume.hostPath === undefined ? "volume" : "bind", Source: volume.source, Target: storeDir }],
      },
    });
    const helper = new Helper(container);
    await container.start();
    return helper;
  }

  /** Runs a command in it. */
  run(command: readonly string[], stdin?: Readable): Promise<ExecResult> {
    return execIn(this.#container, command, stdin);
  }

  /** Standard output of a command in it. @throws {Error} with its standard error if it does not exit with 0 */
  readBytes(command: readonly string[], stdin?: Readable): Promise<Buffer> {
    return readExec(this.#container, command, stdin);
  }

  /** The same as text. */
  async read(command: readonly string[], stdin?: Readable): Promise<string> {
    return (await this.readBytes(command, stdin)).toString("utf8");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#container.remove({ force: true });
    this.#endGuard();
  }
}
