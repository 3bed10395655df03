import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectDir } from "../../scripts/paths.ts";
import { readReportInput } from "../../scripts/report/read.ts";
import { writeReport } from "../../scripts/report/write.ts";
import { aptInstall, canInstall } from "../../scripts/setup/apt.ts";
import { addHistory, createReportFolder } from "../support/report-project.ts";

// Proves in a real browser that the page fits, is accessible by axe's rules, works by keyboard and asks nobody for anything. Whether it is a pleasure to read,
// no test can say: the screenshots are kept in test-artifacts/report/ for people.

const screenshots = join(projectDir, "test-artifacts", "report");
const program = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) => existsSync(path));
const canBrowse = program !== undefined || canInstall() || process.env["REQUIRE_INTEGRATION"] === "1";
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

const views = [
  { name: "wide-light", width: 1440, colorScheme: "light" },
  { name: "wide-dark", width: 1440, colorScheme: "dark" },
  { name: "narrow-light", width: 360, colorScheme: "light" },
  { name: "narrow-dark", width: 360, colorScheme: "dark" },
] as const;

describe.runIf(canBrowse)("the report in Chromium", () => {
  let folder: string;
  let html: string;
  let browser: Browser;

  beforeAll(async () => {
    if (program === undefined) await aptInstall(["chromium", "fonts-dejavu-core"]);
    folder = await createReportFolder();
    await addHistory(folder);
    ({ html } = await writeReport(await readReportInput({ folder, vramMiB: 16_384, docker: null }), folder, join(folder, "benchmarks")));
    await mkdir(screenshots, { recursive: true });
    browser = await chromium.launch({ executablePath: program ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  });
  afterAll(async () => {
    await browser.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** The page with what it said and asked for while it loaded. */
  async function open(width: number, colorScheme: "light" | "dark"): Promise<{ page: Page; said: string[]; asked: string[] }> {
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
    const said: string[] = [];
    const asked: string[] = [];
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => said.push(error.message));
    page.on("request", (request) => asked.push(request.url()));
    await page.goto(`file://${html}`);
    return { page, said, asked };
  }

  it.each(views)("$name: fits its width, says nothing on the console, asks for no other file", async ({ name, width, colorScheme }) => {
    const { page, said, asked } = await open(width, colorScheme);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
    expect(said).toEqual([]);
    expect(asked).toEqual([`file://${html}`]);
    expect(await page.locator("figure svg[role=img]:visible").count()).toBe(await page.locator("figure").count());
    await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
    await page.close();
  });

  it.each(views)("$name: breaks none of axe's rules, contrast included", async ({ width, colorScheme }) => {
    const { page } = await open(width, colorScheme);
    await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })");
    await page.addScriptTag({ content: await readFile(axe, "utf8") });
    const found = await page.evaluate<string[]>(
      "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes[0].html))",
    );
    expect(found).toEqual([]);
    await page.close();
  });

  it("can be read by keyboard: the first stop skips to the numbers, tables scroll, folded ones open", async () => {
    const { page } = await open(360, "light");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to the numbers");
    await page.keyboard.press("Enter");
    expect(await page.evaluate("document.activeElement.id")).toBe("content");
    const table = page.locator(".tablebox").first();
    await table.focus();
    await page.keyboard.press("ArrowRight");
    await expect.poll(() => page.evaluate("document.querySelector('.tablebox').scrollLeft")).toBeGreaterThan(0);
    await page.locator("summary").first().focus();
    await page.keyboard.press("Enter");
    expect(await page.locator("details[open]").count()).toBe(1);
    await page.close();
  });

  it("links to files that are there", async () => {
    const { page } = await open(1440, "light");
    const links = await page.evaluate<string[]>("[...new Set([...document.querySelectorAll('a[href]')].map((one) => one.href))]");
    const files = links.filter((link) => !link.includes("#")).map((link) => decodeURI(link.replace(/^file:\/\//, "")));
    expect(files.length).toBeGreaterThan(10);
    expect(files.filter((file) => !existsSync(file))).toEqual([]);
    await page.close();
  });
});
