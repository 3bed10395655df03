/** What a systemd unit is filled in with. */
export interface UnitSettings {
  /** Folder of the project. */
  readonly projectDir: string;
  /** Time between two checks, as systemd writes it, e.g. `15min`. */
  readonly every: string;
  /** Further arguments of the check. */
  readonly arguments: readonly string[];
  /** File with secrets for the environment; null: none. */
  readonly environmentFile: string | null;
}

/** One or more numbers with systemd's units. @see systemd.time(7) */
const timeSpan = /^(\d+ ?(s|sec|m|min|h|hr|d|day|days|hours|minutes|seconds|minute|hour|second)? ?)+$/;

/**
 * A unit from its template in `deploy/systemd`: `@NAME@` stands for a setting.
 * @throws {RangeError} if a setting would be read by systemd as something else, or a placeholder has no setting
 */
export function renderUnit(template: string, { projectDir, every, arguments: extra, environmentFile }: UnitSettings): string {
  if (!timeSpan.test(every)) throw new RangeError(`every: got ${JSON.stringify(every)}, expected a time of systemd, e.g. 15min or 1h`);
  for (const path of [projectDir, environmentFile])
    if (path !== null && !/^\/[^\s%"'\\$]*$/.test(path))
      throw new RangeError(`path: got ${JSON.stringify(path)}, expected an absolute path without spaces, quotes, % and $`);
  const values: Readonly<Record<string, string>> = {
    PROJECT: projectDir.replace(/\/$/, ""),
    EVERY: every,
    ARGUMENTS: ["", ...extra].join(" "),
    ENVIRONMENT_FILE: environmentFile === null ? "" : `EnvironmentFile=${environmentFile}`,
  };
  return template.replaceAll(/@([A-Z_]+)@/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new RangeError(`template: @${name}@ has no setting`);
    return value;
  });
}
