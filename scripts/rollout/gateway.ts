import { posix } from "node:path";
import type Docker from "dockerode";
import { activeLink, heldFile, holdScript, noRelease, switchScript } from "../../plan/gateway.ts";
import { readExec } from "../docker/exec.ts";
import { statPath } from "../docker/files.ts";

/** What a gateway's volume says. */
export interface GatewayState {
  /** Id of the release that takes traffic; null where none does. */
  readonly active: string | null;
  /** Since when requests wait although a release is active, milliseconds since 1970; null: they don't. */
  readonly heldSinceMs: number | null;
}

/** The gateway of a stack, on its Docker host. */
export class GatewayControl {
  readonly #container: Docker.Container;

  constructor(docker: Docker, container: string) {
    this.#container = docker.getContainer(container);
  }

  /** What the volume says, whether the gateway runs or not. @throws {Error} if there is no such container, or nothing readable in its volume */
  async state(): Promise<GatewayState> {
    const [link, held] = await Promise.all([statPath(this.#container, activeLink), statPath(this.#container, heldFile)]);
    const id = posix.basename(link?.linkTarget ?? "");
    if (id === "") throw new Error(`gateway: no link at ${activeLink} in its volume`);
    return { active: id === noRelease ? null : id, heldSinceMs: held?.modifiedMs ?? null };
  }

  /** Makes requests wait from now on. Those in flight go on. Says nothing about which release is active. */
  async hold(): Promise<void> {
    await this.#sh(holdScript);
  }

  /** Makes a release the active one. Requests in flight go on where they are; new and held ones take the new release. */
  async switchTo(releaseId: string, hosts: readonly string[]): Promise<void> {
    await this.#sh(switchScript(releaseId, hosts));
  }

  async #sh(script: string): Promise<string> {
    return (await readExec(this.#container, ["sh", "-c", script])).toString("utf8");
  }
}
