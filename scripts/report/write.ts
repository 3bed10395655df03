import { mkdir } from "node:fs/promises";
import { dirname, join, posix, relative, sep } from "node:path";
import { writeHtml } from "../../plan/report/html.ts";
import type { ReportInput } from "../../plan/report/input.ts";
import { writeMarkdown } from "../../plan/report/markdown.ts";
import { planReport } from "../../plan/report/report.ts";
import { writeWhole } from "../files.ts";
import { renderSvg } from "./svg.ts";

/** The files of a report, and what they say of themselves. */
export interface WrittenReport {
  readonly html: string;
  readonly markdown: string;
  readonly bytes: number;
  readonly results: number;
  readonly unreadable: readonly { readonly file: string; readonly reason: string }[];
}

/** Writes `report.html` and its twin `report.md` into a folder, with links relative to it. */
export async function writeReport(input: ReportInput, folder: string, out: string): Promise<WrittenReport> {
  const report = planReport(input);
  const [html, markdown] = [join(out, "report.html"), join(out, "report.md")];
  const linkTo = (path: string): string =>
    posix.normalize(relative(dirname(html), join(folder, path)).split(sep).map(encodeURIComponent).join("/"));
  const page = writeHtml(report, { linkTo, draw: renderSvg });
  await mkdir(out, { recursive: true });
  await writeWhole(html, page);
  await writeWhole(markdown, writeMarkdown(report, { linkTo }));
  return { html, markdown, bytes: Buffer.byteLength(page), results: input.results.length, unreadable: input.unreadable };
}
