import { findRubbish } from "./answer.ts";
import { recreate, redeployCommand, restartThroughGates, stateOf, type Case } from "./case.ts";
import { judgeContainer } from "./find-containers.ts";
import type { DeclaredContainer } from "./declared.ts";
import { finding, type Finding } from "./finding.ts";
import type { Remembered, SelfDescription, ServerSeen } from "./observation.ts";

/** A server that says it loads its model is left alone this long after its start, milliseconds: a large file from a slow disk takes minutes. */
const loadingMs = 15 * 60_000;
/** Share of the promoted decode speed below which a short probe is no noise. */
const slowShare = 0.5;

/** Servers of the promoted release that don't answer, answer rubbish, or are not what was deployed. */
export function findServers(one: Case): Finding[] {
  return one.servers.flatMap((server) => {
    const asked = one.seen.servers.find(({ name }) => name === server.name);
    // a container that is in trouble itself answers nothing, which needs not be said twice
    return asked === undefined || judgeContainer(server, one)?.severity === "error"
      ? []
      : [answer, description, graphics, speed].flatMap((judge) => judge(server, asked, one) ?? []);
  });
}

function answer(server: DeclaredContainer, { completion }: ServerSeen, one: Case): Finding | undefined {
  const { name } = server;
  const error = (kind: string, found: string, consequence: string): Finding =>
    finding("error", {
      kind,
      resource: `server ${name}`,
      expected: "a right answer to a short question",
      found,
      consequence,
      fix: redeployCommand(one.declared.stack),
      actions: restartThroughGates(server),
    });
  switch (completion.kind) {
    case "answered": {
      const rubbish = findRubbish(completion, one.seen.remembered.answer?.tokens ?? null);
      return rubbish === undefined ? undefined : error("server-rubbish", rubbish, "clients get answers that mean nothing");
    }
    case "failed":
      if (isLoading(completion.reason, stateOf(one, name)?.startedAtMs ?? 0, one.nowMs)) return loading(name);
      return error("server-unanswering", completion.reason, "every request fails");
    case "late":
      if (completion.isWorking) return busy(name, completion.afterMs);
      return error(
        "server-hangs",
        `none within ${seconds(completion.afterMs)}, and no other request went on meanwhile; its health check may well say ok`,
        "requests hang until clients give up",
      );
  }
}

/** Whether a server that was started at that time may still be left to load its model, going by what it says. */
export const isLoading = (reason: string, startedAtMs: number, nowMs: number): boolean =>
  /Loading model/i.test(reason) && nowMs - startedAtMs < loadingMs;

const loading = (name: string): Finding =>
  finding("note", {
    kind: "server-loading",
    resource: `server ${name}`,
    expected: "an answer",
    found: "it is loading its model",
    consequence: "requests wait at the gateway",
    fix: "look again in some minutes",
    actions: [],
  });

const busy = (name: string, afterMs: number): Finding =>
  finding("note", {
    kind: "server-busy",
    resource: `server ${name}`,
    expected: "an answer",
    found: `none within ${seconds(afterMs)}, but it worked on other requests all the time`,
    consequence: "requests queue",
    fix: "give it more slots, or look when it has less to do; --deadline waits longer",
    actions: [],
  });

function description(server: DeclaredContainer, { self }: ServerSeen, one: Case): Finding | undefined {
  const wrong = self === null ? [] : differences(self, server.environment, one.seen.remembered);
  if (wrong.length === 0) return undefined;
  return finding("error", {
    kind: "server-other",
    resource: `server ${server.name}`,
    expected: wrong.map(({ what, expected }) => `${what} ${expected}`).join(", "),
    found: wrong.map(({ what, found }) => `${what} ${found}`).join(", "),
    consequence: "what answers is not what passed the gates",
    fix: redeployCommand(one.declared.stack),
    actions: recreate(server.name, server.id),
  });
}

interface Wrong {
  readonly what: string;
  readonly expected: string | number;
  readonly found: string | number;
}

/** What a server says of itself against its flags and what was measured of it. What either side does not know is not compared. */
function differences(
  self: SelfDescription,
  flags: Readonly<Record<string, string>>,
  { build, contextTokens, answer }: Remembered,
): Wrong[] {
  const slots = Number(flags["LLAMA_ARG_N_PARALLEL"]);
  const pairs: (readonly [string, string | number | null | undefined, string | number | null])[] = [
    ["model", flags["LLAMA_ARG_MODEL"], self.modelPath],
    ["name", flags["LLAMA_ARG_ALIAS"], self.alias],
    ["slots", slots >= 1 ? slots : null, self.slots],
    ["context of a slot", contextTokens, self.contextTokens],
    ["build", build, self.build],
    ["parameters", answer?.parameters, self.parameters],
  ];
  const wrong = pairs.flatMap(([what, expected, found]) =>
    expected === undefined || expected === null || found === null || found === expected ? [] : [{ what, expected, found }],
  );
  const alias = flags["LLAMA_ARG_ALIAS"];
  if (alias === undefined || self.models.length === 0 || self.models.includes(alias)) return wrong;
  return [...wrong, { what: "/v1/models", expected: alias, found: self.models.join(", ") }];
}

function graphics(server: DeclaredContainer, { gpus }: ServerSeen, one: Case): Finding | undefined {
  if (server.gpus === null || gpus === null || gpus.length > 0) return undefined;
  return finding("error", {
    kind: "gpu-lost",
    resource: `server ${server.name}`,
    expected: `GPUs ${server.gpus}`,
    found: "nvidia-smi in the container sees none",
    consequence: "the server fails, or computes on the CPU at a fraction of the speed",
    fix: `${redeployCommand(one.declared.stack)}, which starts the container again; if the host sees none either (nvidia-smi), its driver needs mending first`,
    actions: restartThroughGates(server),
  });
}

/** Never mended: a server that is slow for its neighbours' sake would be stopped by a gate that fails, and a slow one is better than none. */
function speed({ name }: DeclaredContainer, { speed: probe }: ServerSeen): Finding | undefined {
  if (probe === null || probe.measured >= probe.baseline * slowShare) return undefined;
  return finding("warning", {
    kind: "server-slow",
    resource: `server ${name}`,
    expected: `about ${probe.baseline.toFixed(1)} tok/s, as measured before it was promoted`,
    found: `${probe.measured.toFixed(1)} tok/s in a short probe`,
    consequence: "answers take more than twice as long",
    fix: "look for other work on the device; measure it properly with: npm run bench",
    actions: [],
  });
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(0)} s`;
