import { serverPort } from "../gateway.ts";
import { recreate, redeployCommand, stateOf, type Case } from "./case.ts";
import { finding, type Action, type Finding } from "./finding.ts";

/** A gateway that routes elsewhere than to the promoted release, or to nobody. A gateway that does not run is found with the containers. */
export function findGateway(one: Case): Finding[] {
  const { declared, seen, release } = one;
  const { gateway, promoteUrn } = declared;
  if (gateway === null || seen.gateway === null || stateOf(one, gateway.name)?.status !== "running") return [];
  const { active, isReadable, heldSinceMs } = seen.gateway;
  const repoint: Action[] = promoteUrn === null ? [] : [{ do: "replace", urns: [promoteUrn] }];
  const common = { resource: `gateway ${gateway.name}`, fix: redeployCommand(declared.stack) };
  if (!isReadable)
    return [
      finding("error", {
        ...common,
        kind: "gateway-pointer-lost",
        expected: `a pointer to release ${release}`,
        found: "none that could be read",
        consequence: "requests wait and then get 503",
        actions: repoint,
      }),
    ];
  if (active !== release)
    return [
      finding("error", {
        ...common,
        kind: "gateway-elsewhere",
        expected: `the pointer at release ${release}, which was promoted`,
        found: active === null ? "at no release" : `at release ${active}`,
        consequence: active === null ? "requests wait and then get 503" : "requests go to a release that was not promoted",
        actions: repoint,
      }),
    ];
  if (heldSinceMs !== null)
    return [
      finding("error", {
        ...common,
        kind: "gateway-holding",
        expected: "requests passed on: no rollout is at work",
        found: `requests wait since ${new Date(heldSinceMs).toISOString()}`,
        consequence: "every request waits until the hold is over, and then gets 503",
        actions: repoint,
      }),
    ];
  return routing(one, common, repoint);
}

function routing(one: Case, common: { resource: string; fix: string }, repoint: Action[]): Finding[] {
  const { declared, seen, servers, release } = one;
  const { upstream, problem } = seen.gateway?.route ?? { upstream: null, problem: null };
  const isAnswering = servers.some(({ name }) => seen.servers.some((server) => server.name === name && server.self !== null));
  if (problem !== null) {
    if (!isAnswering) return []; // nobody behind it answers, which is found there
    const { name = "", id = "" } = declared.gateway ?? {};
    return [
      finding("error", {
        ...common,
        kind: "gateway-unanswering",
        expected: "an answer through the gateway",
        found: problem,
        consequence: "clients get no answer although the server gives one",
        actions: recreate(name, id),
      }),
    ];
  }
  const hosts = servers.map(({ name }) => `${name}:${serverPort}`);
  if (upstream === null || hosts.includes(upstream)) return [];
  return [
    finding("error", {
      ...common,
      kind: "gateway-elsewhere",
      expected: `an answer by release ${release}: ${hosts.join(" or ")}`,
      found: `by ${upstream}`,
      consequence: "requests go to a server that was not promoted",
      actions: repoint,
    }),
  ];
}
