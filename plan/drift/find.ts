import type { Declared } from "./declared.ts";
import { sorted, type Finding } from "./finding.ts";
import { findContainers } from "./find-containers.ts";
import { findDifferences } from "./find-differences.ts";
import { findFiles } from "./find-files.ts";
import { findGateway } from "./find-gateway.ts";
import { findImages } from "./find-images.ts";
import { findLeftovers } from "./find-leftovers.ts";
import { findServers } from "./find-servers.ts";
import { notPromoted, type Case } from "./case.ts";
import type { Observation } from "./observation.ts";

/**
 * Everything in which a host differs from what its stack declares, the most severe first; empty: nothing. While a deployment runs nothing is judged:
 * what it does looks like drift until it has ended.
 */
export function findDrift(declared: Declared, seen: Observation, nowMs: number): Finding[] {
  if (seen.activity.kind === "running") return [];
  const release = declared.promotion?.releaseId;
  if (release === undefined) return [notPromoted(declared)];
  const one: Case = { declared, seen, release, servers: declared.servers.filter((server) => server.release === release), nowMs };
  const finders = [findContainers, findServers, findGateway, findFiles, findImages, findLeftovers, findDifferences];
  return sorted(finders.flatMap((find) => find(one)));
}
