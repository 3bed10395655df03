import type Docker from "dockerode";
import { holdScript, noRelease, readStateScript, switchScript } from "../../plan/gateway.ts";
import { readExec } from "../docker/exec.ts";

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

  async state(): Promise<GatewayState> {
    const [link = "", held = ""] = (await this.#sh(readStateScript)).split("\n");
    return { active: link === noRelease ? null : link, heldSinceMs: held === "" ? null : Number(held) };
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
