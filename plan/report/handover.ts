import { z } from "zod";
import { parseJsonWith } from "../config/json.ts";

const stampPattern = /-(\d{4})(\d{2})(\d{2})-(\d{2})(\d{2})(\d{2})\.json$/;

/**
 * `benchmarks/handover-<session>.json`: results and decisions of a session whose result files were not handed over, only named. Their numbers are in
 * the expectations file; a name's stamp says when a result was taken, in the host's own time.
 */
export const handOverSchema = z.strictObject({
  version: z.literal(1),
  session: z.string().min(1),
  /** Path in the project of the file with the numbers. */
  expectations: z.string().min(1),
  results: z.array(
    z.strictObject({
      profile: z.string().min(1),
      file: z.string().regex(stampPattern, "a name that ends with -<YYYYMMDD>-<HHMMSS>.json"),
    }),
  ),
  decisions: z.array(z.strictObject({ decision: z.string().min(1), reason: z.string().min(1) })),
});
export type HandOver = z.output<typeof handOverSchema>;

/** A hand-over from a file's text. @throws {ConfigError} with every issue. */
export const parseHandOver = (text: string, file: string): HandOver =>
  parseJsonWith(handOverSchema, text, { file, fix: "mend the syntax" });

/** When a result was taken, from its name: `2026-02-25T23:16:09`, without a zone, because the name has none. */
export function takenAt(file: string): string {
  const [, year, month, day, hour, minute, second] = stampPattern.exec(file) ?? [];
  return `${year ?? ""}-${month ?? ""}-${day ?? ""}T${hour ?? ""}:${minute ?? ""}:${second ?? ""}`;
}
