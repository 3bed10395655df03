import type Docker from "dockerode";
import type { DeclaredContainer } from "../../plan/drift/declared.ts";
import type { GatewaySeen } from "../../plan/drift/observation.ts";
import { upstreamHeader } from "../../plan/gateway.ts";
import { describeError } from "../program.ts";
import { exchange } from "../gates/chat-client.ts";
import { GatewayControl } from "../rollout/gateway.ts";
import { reachGateway } from "../rollout/reach-gateway.ts";

/**
 * Where a gateway points, and who answers through it within `waitMs`. `isServed`: some server runs; without one every request would only wait.
 */
export async function askGateway(docker: Docker, gateway: DeclaredContainer, isServed: boolean, waitMs: number): Promise<GatewaySeen> {
  const none = { upstream: null, problem: null };
  const [pointer, route] = await Promise.all([readPointer(docker, gateway), isServed ? followRoute(docker, gateway, waitMs) : none]);
  return { ...pointer, route };
}

async function readPointer(docker: Docker, { name }: DeclaredContainer): Promise<Omit<GatewaySeen, "route">> {
  try {
    return { ...(await new GatewayControl(docker, name).state()), isReadable: true };
  } catch {
    return { active: null, heldSinceMs: null, isReadable: false };
  }
}

/** A request that costs the server nothing: which model it has. */
async function followRoute(docker: Docker, { name }: DeclaredContainer, waitMs: number): Promise<GatewaySeen["route"]> {
  try {
    const gateway = await reachGateway(docker.getContainer(name));
    const { status, headers } = await exchange(gateway, "/v1/models", undefined, AbortSignal.timeout(waitMs));
    const upstream = headers[upstreamHeader];
    return { upstream: typeof upstream === "string" ? upstream : null, problem: status === 200 ? null : `status ${status}` };
  } catch (error) {
    return { upstream: null, problem: describeError(error) };
  }
}
