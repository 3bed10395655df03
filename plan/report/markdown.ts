import type { Cell, ReportDocument, Table } from "./document.ts";
import type { PageContext } from "./html.ts";

/** The report's twin for terminals and code hosts: the same tables and words; a chart is its summary. */
export function writeMarkdown(report: ReportDocument, { linkTo }: Pick<PageContext, "linkTo">): string {
  const facts = report.facts.map(
    ({ label, value, detail, ...from }) =>
      `- **${escapeMarkdown(label)}**: [${escapeMarkdown(value)}](${"section" in from ? `#${from.section}` : linkTo(from.href)}) (${escapeMarkdown(detail)})`,
  );
  const parts = report.sections.map(({ title, paragraphs, figures, tables }) =>
    [
      `## ${escapeMarkdown(title)}`,
      ...paragraphs.map(escapeMarkdown),
      ...figures.map((figure) => `**${escapeMarkdown(figure.title)}.** ${escapeMarkdown(figure.summary)}`),
      ...tables.map((one) => table(one, linkTo)),
    ].join("\n\n"),
  );
  return `${[`# ${escapeMarkdown(report.title)}`, escapeMarkdown(report.lead), facts.join("\n"), ...parts].join("\n\n")}\n`;
}

/** Text that Markdown takes as it is, on one line. */
export const escapeMarkdown = (text: string): string => text.replace(/\s+/g, " ").replace(/[\\`*_{}[\]<>#|]/g, "\\$&");

const link = (text: string, href: string | undefined, linkTo: PageContext["linkTo"]): string =>
  href === undefined ? escapeMarkdown(text) : `[${escapeMarkdown(text)}](${linkTo(href)})`;

function table({ caption, columns, rows }: Table, linkTo: PageContext["linkTo"]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const written = ({ text, href, tone }: Cell): string => (tone === "best" ? `**${link(text, href, linkTo)}**` : link(text, href, linkTo));
  return [
    `**${escapeMarkdown(caption)}**`,
    "",
    line(columns.map(({ label }) => escapeMarkdown(label))),
    line(columns.map(({ isNumber }) => (isNumber === true ? "---:" : "---"))),
    ...rows.map((cells) => line(cells.map(written))),
  ].join("\n");
}
