import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { serverPort, upstreamHeader } from "../../plan/gateway.ts";
import { gatewayName, labels } from "../../plan/names.ts";
import { normalRestart, type Effect, type HostSeen, type ServerSeen } from "../../plan/rollout/types.ts";
import { pidsLimit } from "../../plan/server-container.ts";
import { dockerStatus } from "../docker/host.ts";
import { waitReady } from "../gates/candidate.ts";
import { exchange } from "../gates/chat-client.ts";
import { drain } from "./drain.ts";
import { GatewayControl, type GatewayState } from "./gateway.ts";
import { reachGateway } from "./reach-gateway.ts";
import { setRestart, startServer, stopServer } from "./server.ts";

/** Longest wait for a completion that proves a switch, milliseconds: the server has answered one just before, but others may be ahead in its queue. */
const verifyTimeoutMs = 120_000;
/** Longest wait for a gateway that was started, milliseconds: Caddy listens after a fraction of a second, on a loaded host after some. */
const gatewayStartMs = 20_000;
const pollMs = 50;

/** How long a stack's servers and requests may take. */
export interface HostTimes {
  readonly readyTimeoutSec: number;
  readonly drainSec: number;
}

/** One stack on its Docker host: what the rollout machine sees of it, and the machine's effects. */
export class StackHost {
  readonly #docker: Docker;
  readonly #stack: string;
  readonly #times: HostTimes;
  readonly #gateway: GatewayControl;
  /** Milliseconds in which requests were held, as far as this object ended the hold. */
  outageMs = 0;

  constructor(docker: Docker, stack: string, times: HostTimes) {
    this.#docker = docker;
    this.#stack = stack;
    this.#times = times;
    this.#gateway = new GatewayControl(docker, gatewayName(stack));
  }

  async see(): Promise<HostSeen> {
    const filters = { label: [`${labels.stack}=${this.#stack}`, `${labels.role}=server`] };
    const [gateway, containers] = await Promise.all([this.#seeGateway(), this.#docker.listContainers({ all: true, filters })]);
    const releases: Record<string, ServerSeen[]> = {};
    for (const { Id, Labels } of containers.toSorted((a, b) => ((a.Names[0] ?? "") < (b.Names[0] ?? "") ? -1 : 1))) {
      const server = await this.#seeServer(Id);
      if (server !== undefined) (releases[Labels[labels.release] ?? ""] ??= []).push(server);
    }
    return { ...gateway, releases };
  }

  async #seeServer(id: string): Promise<ServerSeen | undefined> {
    try {
      const { Name, State, HostConfig } = await this.#docker.getContainer(id).inspect();
      const restart = HostConfig.RestartPolicy?.Name ?? "";
      return { name: Name.slice(1), isRunning: State.Running || State.Restarting, restart };
    } catch (error) {
      if (dockerStatus(error) === 404) return undefined; // removed since it was listed
      throw error;
    }
  }

  async #seeGateway(): Promise<Pick<HostSeen, "gateway" | "active" | "isHeld">> {
    const running = await this.#isGatewayRunning();
    if (running !== true) return { gateway: running === undefined ? "missing" : "stopped", active: null, isHeld: false };
    const { active, heldSinceMs } = await this.#gateway.state();
    return { gateway: "running", active, isHeld: heldSinceMs !== null };
  }

  async #isGatewayRunning(): Promise<boolean | undefined> {
    try {
      return (await this.#docker.getContainer(gatewayName(this.#stack)).inspect()).State.Running;
    } catch (error) {
      if (dockerStatus(error) === 404) return undefined;
      throw error;
    }
  }

  /** The gateway's state, with since when it holds. */
  gatewayState(): Promise<GatewayState> {
    return this.#gateway.state();
  }

  /** @throws {Error} if the effect could not be brought about */
  async perform(effect: Effect, seen: HostSeen, signal: AbortSignal): Promise<void> {
    if (effect.do === "startGateway") return this.#startGateway(signal);
    if (effect.do === "hold") return this.#gateway.hold();
    const names = (seen.releases[effect.release] ?? []).map(({ name }) => name);
    if (effect.do === "switch") return this.#switchTo(effect.release, names);
    if (effect.do === "verify") return this.#verify(names, signal);
    await Promise.all(names.map((name) => this.#onServer(effect, this.#docker.getContainer(name), signal)));
  }

  async #onServer(effect: Effect, container: Docker.Container, signal: AbortSignal): Promise<void> {
    switch (effect.do) {
      case "drain":
        await drain(container, this.#times.drainSec, signal);
        return;
      case "stop":
        if (effect.returns) await setRestart(container, "always");
        return stopServer(container);
      case "start":
        return startServer(container, effect.onTrial ? "no" : normalRestart);
      case "probe":
        await waitReady(container, { apiKeyFile: null, timeoutSec: this.#times.readyTimeoutSec, signal });
        return;
      case "settle":
        return setRestart(container, normalRestart);
    }
  }

  /** @throws {Error} if it does not listen soon after */
  async #startGateway(signal: AbortSignal): Promise<void> {
    const container = this.#docker.getContainer(gatewayName(this.#stack));
    await container.start();
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(gatewayStartMs)]);
    for (;;) {
      try {
        await exchange(await reachGateway(container), "/-/health", undefined, deadline);
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (deadline.aborted) throw new Error(`the gateway does not listen ${gatewayStartMs / 1000} s after its start`, { cause: error });
        await sleep(pollMs);
      }
    }
  }

  async #switchTo(release: string, hosts: readonly string[]): Promise<void> {
    const { heldSinceMs } = await this.#gateway.state();
    await this.#gateway.switchTo(release, hosts);
    if (heldSinceMs !== null) this.outageMs += Math.max(0, Date.now() - heldSinceMs);
  }

  /**
   * A completion through the gateway, answered by one of these containers. Each rollout and each recovery that ends well comes here, also where the gateway was made
   * anew and routes to the right release already, so here it gets its limit.
   * @throws {Error} with what came instead
   */
  async #verify(names: readonly string[], signal: AbortSignal): Promise<void> {
    const container = this.#docker.getContainer(gatewayName(this.#stack));
    await container.update({ PidsLimit: pidsLimit }); // the Docker provider has no input for it
    const gateway = await reachGateway(container);
    const question = { messages: [{ role: "user", content: "Say yes." }], max_tokens: 2, temperature: 0 };
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(verifyTimeoutMs)]);
    const { status, headers, body } = await exchange(gateway, "/v1/chat/completions", question, deadline);
    if (status !== 200) throw new Error(`the gateway answered ${status}: ${body.slice(0, 200)}`);
    const upstream = String(headers[upstreamHeader] ?? "nowhere");
    if (!names.some((name) => upstream === `${name}:${serverPort}`))
      throw new Error(`the gateway answered from ${upstream}, expected ${names.join(" or ")}`);
  }
}
