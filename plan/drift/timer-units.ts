/** What a systemd unit is filled in with. */
export interface UnitSettings {
  /** Folder of the project. */
  readonly projectDir: string;
  /** Time between two checks, as systemd writes it, e.g. `15min`. */
  readonly every: string;
  /** Further arguments of the check. */
  readonly arguments: readonly string[];
  /** Whose deployments are checked: state and tools are under that home. Null: the unit is that user's own. */
  readonly user: string | null;
  /** File with secrets for the environment; null: none. */
  readonly environmentFile: string | null;
}

/** Whether systemd reads a text as a time: one or more numbers with its units. @see systemd.time(7) */
export const isTimeSpan = (text: string): boolean => timeSpan.test(text);
const timeSpan = /^(\d+ ?(s|sec|m|min|h|hr|d|day|days|hours|minutes|seconds|minute|hour|second)? ?)+$/;

/**
 * A unit from its template in `deploy/systemd`: `@NAME@` stands for a setting.
 * @throws {RangeError} if a setting would be read by systemd as something else, or a placeholder has no setting
 */
export function renderUnit(template: string, { projectDir, every, arguments: extra, environmentFile, user }: UnitSettings): string {
  if (!isTimeSpan(every)) throw new RangeError(`every: got ${JSON.stringify(every)}, expected a time of systemd, e.g. 15min or 1h`);
  for (const path of [projectDir, environmentFile])
    if (path !== null && !/^\/[^\s%"'\\$]*$/.test(path))
      throw new RangeError(`path: got ${JSON.stringify(path)}, expected an absolute path without spaces, quotes, % and $`);
  if (user !== null && !/^[a-z_][a-z0-9_.-]*$/i.test(user)) throw new RangeError(`user: got ${JSON.stringify(user)}, expected a user name`);
  const values: Readonly<Record<string, string>> = {
    PROJECT: projectDir.replace(/\/$/, ""),
    EVERY: every,
    ARGUMENTS: ["", ...extra].join(" "),
    USER: user === null ? "" : `User=${user}`,
    ENVIRONMENT_FILE: environmentFile === null ? "" : `EnvironmentFile=${environmentFile}`,
  };
  return template.replaceAll(/@([A-Z_]+)@/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new RangeError(`template: @${name}@ has no setting`);
    return value;
  });
}
