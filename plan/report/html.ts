import { legendOf, type Chart, type LegendEntry } from "./chart.ts";
import type { Cell, Figure, ReportDocument, Section, Table } from "./document.ts";
import { pageStyle } from "./page-style.ts";

/** What a writer is given beside the document. */
export interface PageContext {
  /** Link to a file of the project, from where the page is kept. */
  readonly linkTo: (path: string) => string;
  /** A chart as an `svg` element of that width, px. */
  readonly draw: (chart: Chart, width: number) => string;
}

/** Widths that charts are drawn at: the page shows the one that fits, because text in a scaled drawing can't be read. */
export const chartWidths = { wide: 1100, narrow: 330 } as const;

/** Text for HTML, also inside a quoted attribute. */
export const escapeHtml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

/** The report as one self-contained page: no script, no request, light and dark, narrow and wide. */
export function writeHtml(report: ReportDocument, context: PageContext): string {
  const nav = report.sections.map(({ id, title }) => `<li><a href="#${id}">${escapeHtml(title)}</a></li>`).join("");
  return [
    `<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">`,
    `<title>${escapeHtml(report.title)}</title>\n<style>\n${pageStyle}\n</style>\n</head>\n<body>`,
    `<a class="skip" href="#content">Skip to the numbers</a>`,
    `<header>\n<h1>${escapeHtml(report.title)}</h1>\n<p class="lead">${escapeHtml(report.lead)}</p>\n${facts(report, context)}\n</header>`,
    `<nav aria-label="Parts of the report"><ul>${nav}</ul></nav>`,
    `<main id="content" tabindex="-1">\n${report.sections.map((part) => section(part, context)).join("\n")}\n</main>`,
    `<footer>Made by npm run report. Numbers are links: each leads to the file that it is from, a count of profiles to the table of them.</footer>\n</body>\n</html>\n`,
  ].join("\n");
}

function facts({ facts: all }: ReportDocument, { linkTo }: PageContext): string {
  const one = ({ label, value, detail, ...from }: ReportDocument["facts"][number]): string => {
    const text = `<a href="${escapeHtml("section" in from ? `#${from.section}` : linkTo(from.href))}">${escapeHtml(value)}</a>`;
    return `<div><dt>${escapeHtml(label)}</dt><dd class="value">${text}</dd><dd class="detail">${escapeHtml(detail)}</dd></div>`;
  };
  return `<dl class="facts">${all.map(one).join("")}</dl>`;
}

function section({ id, title, paragraphs, figures, tables }: Section, context: PageContext): string {
  return [
    `<section id="${id}" aria-labelledby="${id}-title">\n<h2 id="${id}-title">${escapeHtml(title)}</h2>`,
    ...paragraphs.map((text) => `<p>${escapeHtml(text)}</p>`),
    ...figures.map((one) => figure(one, context)),
    ...tables.map((one) => table(one, context)),
    "</section>",
  ].join("\n");
}

function figure({ id, title, summary, chart }: Figure, { draw }: PageContext): string {
  const drawings = Object.entries(chartWidths).map(([name, width]) =>
    draw(chart, width).replace(/^<svg /, `<svg class="${name}" role="img" aria-labelledby="${id}-title" aria-describedby="${id}-text" `),
  );
  const legend = legendOf(chart).map(({ name, look }) => `<li>${symbol(look)}${escapeHtml(name)}</li>`);
  return [
    `<figure><figcaption><h3 id="${id}-title">${escapeHtml(title)}</h3><p id="${id}-text">${escapeHtml(summary)}</p></figcaption>`,
    ...(legend.length === 0 ? [] : [`<ul class="legend">${legend.join("")}</ul>`]),
    ...drawings,
    "</figure>",
  ].join("\n");
}

const looks: Record<LegendEntry["look"], string> = {
  0: '<circle cx="6" cy="6" r="5" fill="var(--series-0)"/>',
  1: '<rect x="1.5" y="1.5" width="9" height="9" fill="var(--series-1)"/>',
  2: '<path d="M6 1l5.5 9.5h-11z" fill="var(--series-2)"/>',
  3: '<path d="M6 0l6 6-6 6-6-6z" fill="var(--series-3)"/>',
  range:
    '<rect y="2" width="12" height="8" rx="2" fill="var(--series-0)" opacity=".35"/><path d="M6 1v10" stroke="var(--series-0)" stroke-width="2"/>',
  marked: '<circle cx="6" cy="6" r="4" fill="none" stroke="var(--ink-soft)" stroke-width="2"/>',
  limit: '<path d="M0 6h12" stroke="var(--bad)" stroke-width="2"/>',
};

const symbol = (look: LegendEntry["look"]): string =>
  `<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">${looks[look]}</svg>`;

function table({ caption, columns, rows, isFolded }: Table, context: PageContext): string {
  const isNumber = columns.map((column) => column.isNumber === true);
  const head = columns
    .map(({ label }, index) => `<th scope="col"${isNumber[index] === true ? ' class="num"' : ""}>${escapeHtml(label)}</th>`)
    .join("");
  const body = rows
    .map((cells) => `<tr>${cells.map((one, index) => tableCell(one, index, isNumber[index] === true, context)).join("")}</tr>`)
    .join("\n");
  const name = escapeHtml(caption);
  const box = `<div class="tablebox" role="region" aria-label="${name}" tabindex="0"><table><caption><span>${name}</span></caption><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
  return isFolded === true ? `<details><summary>${name}</summary>${box}</details>` : box;
}

/** Texts longer than this get room to wrap in, however narrow the page. */
const wordsFrom = 24;

function tableCell({ text, href, tone }: Cell, column: number, isNumber: boolean, { linkTo }: PageContext): string {
  const shape = isNumber ? ["num"] : text.length > wordsFrom ? ["words"] : ["short"];
  const classes = [...shape, ...(tone === undefined ? [] : [tone])].join(" ");
  const attribute = classes === "" ? "" : ` class="${classes}"`;
  const content = href === undefined ? escapeHtml(text) : `<a href="${escapeHtml(linkTo(href))}">${escapeHtml(text)}</a>`;
  return column === 0 ? `<th scope="row"${attribute}>${content}</th>` : `<td${attribute}>${content}</td>`;
}
