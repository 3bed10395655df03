import { Command } from "commander";
import { formatGateResult } from "../../plan/gates/format.ts";
import type { GateResult } from "../../plan/gates/verdict.ts";
import { gatewayName, labels } from "../../plan/names.ts";
import { connectDocker } from "../docker/host.ts";
import { readPromotion } from "../pulumi.ts";
import { GatewayControl } from "../rollout/gateway.ts";

/** What a stack is and what its host says, side by side. */
interface Status {
  readonly stack: string;
  readonly endpoint: string | null;
  /** Release that was promoted last, as the stack's outputs say. */
  readonly promoted: string | null;
  /** Release that the gateway routes to, as the host says. */
  readonly active: string | null;
  readonly profile: string | null;
  readonly servers: readonly { readonly name: string; readonly release: string; readonly state: string }[];
  readonly verdicts: readonly GateResult[];
  /** Null: all is as it should be; else what is not, and what to do. */
  readonly degraded: string | null;
}

/** `npm run status`: what serves, and what was measured before it was allowed to. */
export function statusCommand(): Command {
  return new Command("status")
    .description("what serves on a stack, and the measurements that let it")
    .argument("[stack]", "stack name", "dev")
    .option("--json", "print it as JSON")
    .action(async (stack: string, { json }: { json?: boolean }) => {
      const status = await readStatus(stack);
      process.stdout.write(json === true ? `${JSON.stringify(status, null, 2)}\n` : format(status));
      if (status.degraded !== null) process.exitCode = 2;
    });
}

async function readStatus(stack: string): Promise<Status> {
  const promotion = await readPromotion(stack);
  const docker = connectDocker(null);
  const containers = await docker.listContainers({ all: true, filters: { label: [`${labels.stack}=${stack}`] } });
  const servers = containers
    .filter(({ Labels }) => Labels[labels.role] === "server")
    .map(({ Names, Labels, Status: state }) => ({ name: Names[0]?.slice(1) ?? "", release: Labels[labels.release] ?? "", state }));
  const gatewayRuns = containers.some(({ Labels, State }) => Labels[labels.role] === "gateway" && State === "running");
  const active = gatewayRuns ? await new GatewayControl(docker, gatewayName(stack), 1).active() : null;
  const promoted = promotion?.releaseId ?? null;
  return {
    stack,
    endpoint: promotion?.endpoint ?? null,
    promoted,
    active,
    profile: promotion?.profile ?? null,
    servers,
    verdicts: promotion?.gates ?? [],
    degraded: findTrouble(stack, promoted, active, gatewayRuns, servers),
  };
}

function findTrouble(
  stack: string,
  promoted: string | null,
  active: string | null,
  gatewayRuns: boolean,
  servers: Status["servers"],
): string | null {
  const mend = `pulumi up --refresh -s ${stack}`;
  if (promoted === null) return `no release has been promoted yet; run: pulumi up -s ${stack}`;
  if (!gatewayRuns) return `the gateway does not run; run: ${mend}`;
  if (active !== promoted)
    return `the gateway routes to ${active ?? "no release"}, the stack promoted ${promoted}; run: pulumi up --replace '**promote' -s ${stack}`;
  const server = servers.find(({ release }) => release === active);
  if (server === undefined) return `the server of release ${active} is gone; run: ${mend}`;
  if (!server.state.startsWith("Up")) return `${server.name} does not run (${server.state}); run: docker start ${server.name}`;
  return null;
}

function format(status: Status): string {
  const lines = [
    `stack     ${status.stack}${status.profile === null ? "" : `, profile ${status.profile}`}`,
    `endpoint  ${status.endpoint ?? "none"}`,
    `release   ${status.active ?? "none"}`,
    ...status.servers.map(
      ({ name, release, state }) => `server    ${name}  ${state}${release === status.active ? "" : "  (takes no traffic)"}`,
    ),
    ...status.verdicts.flatMap((verdict) => ["", formatGateResult(verdict)]),
    "",
    status.degraded === null ? "state     ok" : `state     degraded: ${status.degraded}`,
  ];
  return `${lines.join("\n")}\n`;
}
