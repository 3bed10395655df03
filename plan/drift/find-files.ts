import { posix } from "node:path";
import { recreate, redeployCommand, restartThroughGates, short, showBytes, stateOf, type Case } from "./case.ts";
import type { DeclaredFile } from "./declared.ts";
import { finding, type Action, type Finding } from "./finding.ts";
import type { FileSeen } from "./observation.ts";

/** Model files that are gone, truncated, overwritten or replaced, and servers that still hold another file than a new container would get. */
export function findFiles(one: Case): Finding[] {
  return one.declared.files.flatMap((file) => {
    const seen = one.seen.files.find(({ path }) => path === file.path);
    return seen === undefined ? [] : [...(content(file, seen, one) ?? unchecked(file, seen)), ...stale(file, seen, one)];
  });
}

/** What is wrong with a file's content, as a new container would find it; undefined where nothing is known to be wrong. */
function content(file: DeclaredFile, seen: FileSeen, one: Case): Finding[] | undefined {
  const { stat, sha256 } = seen;
  const refetch: Action = { do: "fetch", path: file.path, setAside: stat !== null, urns: [file.urn] };
  const canFetch = seen.hasSource;
  const restart =
    stat === null
      ? []
      : holders(seen)
          .flatMap((name) => one.servers.filter((server) => server.name === name))
          .flatMap(restartThroughGates);
  const common = {
    resource: `model file ${file.path}`,
    expected: `${showBytes(file.bytes)}, sha256 ${short(file.sha256)}`,
    fix: canFetch
      ? redeployCommand(one.declared.stack)
      : `none of its sources is there: put ${posix.basename(file.path)} (sha256 ${file.sha256}) into the top folder of the volume, or name another source in configs/models.yaml`,
    actions: canFetch ? [refetch, ...restart] : [],
  };
  const broken =
    restart.length > 0
      ? "the running server reads it: its answers may be wrong, or it dies"
      : `${seen.inServers.length > 0 ? "the server that runs has its own copy; " : ""}the next start fails or serves another model`;
  if (stat === null)
    return [
      finding("error", {
        ...common,
        kind: "model-gone",
        found: "no such file",
        consequence: "the server that runs goes on with what it holds; the next start fails",
      }),
    ];
  if (stat.bytes !== file.bytes)
    return [
      finding("error", {
        ...common,
        kind: stat.bytes < file.bytes ? "model-truncated" : "model-replaced",
        found: showBytes(stat.bytes),
        consequence: broken,
      }),
    ];
  if (sha256 === null || sha256 === file.sha256) return undefined;
  return [
    finding("error", {
      ...common,
      kind: "model-replaced",
      found: `${showBytes(stat.bytes)}, sha256 ${short(sha256)}`,
      consequence: broken,
    }),
  ];
}

/** Running servers whose process has this very file mapped, or may have read it since it was changed. */
const holders = ({ stat, inServers }: FileSeen): string[] =>
  inServers.filter((server) => server.mapped.length === 0 || server.mapped.includes(stat?.inode ?? "")).map(({ server }) => server);

function unchecked({ path, sha256 }: DeclaredFile, seen: FileSeen): Finding[] {
  if (seen.unchecked === null) return [];
  return [
    finding("note", {
      kind: "model-unchecked",
      resource: `model file ${path}`,
      expected: `sha256 ${short(sha256)}`,
      found: `not computed: ${seen.unchecked}`,
      consequence: "whether its content changed is not known",
      fix: "run the check without --hash never",
      actions: [],
    }),
  ];
}

/** A server whose mount shows another file than a new container would get: its folder was replaced under it. */
function stale(file: DeclaredFile, { stat, inServers }: FileSeen, one: Case): Finding[] {
  return inServers.flatMap(({ server, stat: own }) => {
    if (own?.inode === stat?.inode && own?.bytes === stat?.bytes) return [];
    const id = stateOf(one, server)?.id ?? "";
    return finding("warning", {
      kind: "mount-stale",
      resource: `server ${server}`,
      expected: `the file that is at ${file.path} now`,
      found: own === null ? "no file there" : `another file there: inode ${own.inode}, ${showBytes(own.bytes)}`,
      consequence:
        "the folder of the models was replaced under the container: it serves from the old one, and a restart does not change that",
      fix: redeployCommand(one.declared.stack),
      actions: recreate(server, id),
    });
  });
}
