import type Docker from "dockerode";
import { noRelease, readActiveScript, switchScript } from "../../plan/gateway.ts";
import { readExec } from "../docker/exec.ts";

/** The gateway of a stack, on its Docker host. */
export class GatewayControl {
  readonly #container: Docker.Container;
  readonly #slots: number;

  constructor(docker: Docker, container: string, slots: number) {
    this.#container = docker.getContainer(container);
    this.#slots = slots;
  }

  /** Id of the release that takes traffic; null where none does. */
  async active(): Promise<string | null> {
    const link = (await this.#sh(readActiveScript)).trim();
    return link === noRelease ? null : link;
  }

  /** Makes a release the active one. Requests in flight go on where they are; new and held ones take the new release. */
  async switchTo(releaseId: string, hosts: readonly string[]): Promise<void> {
    await this.#sh(switchScript(releaseId, hosts, this.#slots));
  }

  async #sh(script: string): Promise<string> {
    return (await readExec(this.#container, ["sh", "-c", script])).toString("utf8");
  }
}
