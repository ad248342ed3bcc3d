// Looks at pages in Chromium: takes {tasks, out} as JSON on stdin, prints what it saw as JSON. What has to hold is said in
// html.rs; here is only how to look.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(process.env.PAGES_CACHE + "/"));
const { chromium } = require("playwright-core");
const { HtmlValidate } = require("html-validate");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const { tasks, out } = JSON.parse(readFileSync(0, "utf8"));
mkdirSync(out, { recursive: true });
const profile = join(tmpdir(), `evodoctor-pages-${process.pid}`);
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", `--disk-cache-dir=${profile}`],
});

const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 360, height: 780 };

/** A page, and a list of whatever it complains of or asks the network for. */
async function open(file, { viewport = DESKTOP, colours = "light", script = true } = {}) {
  const context = await browser.newContext({ viewport, colorScheme: colours, javaScriptEnabled: script });
  const page = await context.newPage();
  const trouble = [];
  page.on("console", (message) => trouble.push(`console ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => trouble.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => { trouble.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  const url = pathToFileURL(file).href;
  page.on("request", (request) => {
    if (request.url() !== url && !request.url().startsWith("data:")) trouble.push(`request: ${request.url()}`);
  });
  await page.goto(url);
  return { context, page, trouble };
}

/** Runs a script beside the page's own, which the page's policy does not touch. */
async function beside(page, expression) {
  const session = await page.context().newCDPSession(page);
  const said = await session.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
  if (said.exceptionDetails) throw new Error(said.exceptionDetails.exception?.description ?? said.exceptionDetails.text);
  return said.result.value;
}

/** What axe complains of: by all its rules, or by those that colours matter to. */
const violations = (page, colours) => beside(page, `${axe};axe.run({resultTypes: ["violations"]${
  colours ? ', runOnly: ["color-contrast"]' : ""}}).then((seen) =>
  seen.violations.map((one) => one.id + ": " + one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(" | ")))`);

/** What stands out to the right of the page, and not inside a box that scrolls. */
const sticksOut = (page) => page.evaluate(() => {
  const width = document.documentElement.clientWidth;
  const out = [];
  for (const element of document.querySelectorAll("body *")) {
    // What is folded has no place yet, and asking for it lays it out.
    if (element.closest("details:not([open]) > :not(summary)")) continue;
    const box = element.getBoundingClientRect();
    const scrolls = element.parentElement.closest(".scroll, .map, pre");
    if (box.width > 0 && box.right > width + 1 && !(scrolls && getComputedStyle(scrolls).overflowX !== "visible")) {
      out.push(element.outerHTML.slice(0, 120));
    }
  }
  if (document.documentElement.scrollWidth > innerWidth) out.push("the page itself");
  return out.slice(0, 5);
});

/** On paper: what is folded, cut off by its box, or wider than the sheet. */
async function onPaper(file, name) {
  const { context, page } = await open(file, { viewport: { width: 688, height: 980 }, script: false });
  await page.emulateMedia({ media: "print" });
  const cut = await sticksOut(page);
  const hidden = await page.evaluate(() => Array.from(document.querySelectorAll("details > :not(summary)"))
    .filter((element) => element.getBoundingClientRect().height === 0).map((element) => `folded: ${element.outerHTML.slice(0, 120)}`));
  const boxes = await page.evaluate(() => Array.from(document.querySelectorAll(".scroll, pre, .map"))
    .filter((box) => box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX !== "visible")
    .map((box) => `cut off: ${box.outerHTML.slice(0, 120)}`));
  await page.pdf({ path: join(out, `${name}.pdf`), preferCSSPageSize: true });
  await context.close();
  return [...cut, ...hidden, ...boxes];
}

const looks = {
  /** How a page looks in every light, on every width, on paper, and to the rules of HTML. */
  async looks({ file, name, thorough }) {
    const seen = { trouble: [], violations: [], sticks_out: [] };
    const all = [[DESKTOP, "light"], [PHONE, "dark"], [DESKTOP, "dark"], [PHONE, "light"]];
    for (const [nth, [viewport, colours]] of (thorough ? all : all.slice(0, 2)).entries()) {
      const where = `${name}-${viewport.width}-${colours}`;
      const { context, page, trouble } = await open(file, { viewport, colours });
      await page.evaluate(() => document.querySelectorAll("details").forEach((details) => { details.open = true; }));
      seen.violations.push(...(await violations(page, nth > 1 && colours === "dark")).map((one) => `${where}: ${one}`));
      seen.sticks_out.push(...(await sticksOut(page)).map((one) => `${where}: ${one}`));
      await page.evaluate(() => document.querySelectorAll("details").forEach((details) => { details.open = false; }));
      const clip = { x: 0, y: 0, width: viewport.width, height: Math.min(4000, await page.evaluate(() => document.body.scrollHeight)) };
      await page.screenshot({ path: join(out, `${where}.png`), fullPage: true, clip });
      seen.trouble.push(...trouble.map((one) => `${where}: ${one}`));
      await context.close();
    }
    seen.cut_on_paper = await onPaper(file, name);
    const validator = new HtmlValidate({
      extends: ["html-validate:standard"],
      // How it is written is no matter of validity.
      rules: { "no-inline-style": "off", "long-title": "off", "doctype-style": "off", "attr-quotes": "off", "void-style": "off",
        "no-trailing-whitespace": "off", "no-raw-characters": "off" },
    });
    const report = await validator.validateString(readFileSync(file, "utf8"));
    seen.invalid = report.results.flatMap((result) => result.messages)
      .filter((message) => message.severity === 2)
      .map((message) => `${message.ruleId} in line ${message.line}: ${message.message} (${message.selector})`);
    return seen;
  },

  /** How many screens a page is high as it opens, on a desk and on a phone, and what sticks out there. */
  async screens({ file, name }) {
    const seen = {};
    for (const [where, viewport] of [["desk", DESKTOP], ["phone", { width: 390, height: 844 }]]) {
      const { context, page, trouble } = await open(file, { viewport });
      const height = await page.evaluate(() => document.body.scrollHeight);
      await page.screenshot({ path: join(out, `${name}-${where}.png`), fullPage: true,
        clip: { x: 0, y: 0, width: viewport.width, height: Math.min(4000, height) } });
      seen[where] = { screens: height / viewport.height, sticks_out: await sticksOut(page), trouble };
      await context.close();
    }
    return seen;
  },

  /** The same page with and without JavaScript. */
  async without_script({ file }) {
    const { context, page, trouble } = await open(file, { script: false });
    const text = await page.locator("main").innerText();
    const folded = await page.locator("#findings details").first().innerText();
    await page.locator("#findings details summary").first().click();
    const unfolded = await page.locator("#findings details").first().innerText();
    const controls = await page.locator("form:visible, button:visible").count();
    await context.close();
    return { text, folded, unfolded, controls, trouble };
  },

  /** Filters, unfolding, copying, and the choice of light or dark. */
  async use({ file, code, words }) {
    const { context, page, trouble } = await open(file);
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    const shown = () => page.locator("#findings li.finding:visible").count();
    const severities = () => page.locator("#findings li.finding:visible").evaluateAll((all) =>
      [...new Set(all.map((one) => one.dataset.severity))]);
    const seen = { all: await shown() };
    await page.getByLabel("warning").uncheck();
    seen.without_warnings = { shown: await shown(), severities: await severities(), says: await page.locator("output").innerText() };
    await page.getByLabel("warning").check();
    await page.getByLabel("Code").selectOption(code);
    seen.of_code = { shown: await shown(), rules: await page.locator("section.rule:visible").count() };
    await page.getByLabel("Code").selectOption("");
    await page.getByLabel("Text").fill(words);
    seen.with_words = { shown: await shown(), texts: await page.locator("#findings li.finding:visible").allInnerTexts() };
    await page.getByLabel("Text").fill("no finding says this");
    seen.none = await shown();
    await page.getByLabel("Text").fill("");
    await page.getByRole("button", { name: "Unfold all" }).click();
    seen.folded = await page.locator("#findings details:not([open])").count();
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    seen.light = await background();
    await page.getByRole("button", { name: /dark colours/ }).click();
    seen.dark = await background();
    await page.reload();
    seen.dark_again = await background();
    await page.locator(".verdict .command .copy").first().click();
    seen.copied = await page.evaluate(() => navigator.clipboard.readText());
    seen.trouble = trouble;
    await context.close();
    return seen;
  },

  /** What the Tab key comes by, from the top of the page to its end. */
  async keyboard({ file }) {
    const { context, page } = await open(file);
    const wanted = await page.evaluate(() => {
      const all = "a[href], button, input, select, summary, [tabindex='0']";
      const seen = Array.from(document.querySelectorAll(all)).filter((element) => element.checkVisibility());
      seen.forEach((element, at) => { element.dataset.at = at; });
      return seen.length;
    });
    const reached = new Set();
    const faint = [];
    for (let step = 0; step < wanted + 5; step += 1) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => {
        const element = document.activeElement;
        const style = getComputedStyle(element);
        const shows = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
        return { at: element.dataset.at, shows, html: element.outerHTML.slice(0, 100) };
      });
      if (at.at !== undefined) reached.add(at.at);
      if (at.at !== undefined && !at.shows) faint.push(at.html);
    }
    await context.close();
    return { wanted, reached: reached.size, faint: faint.slice(0, 5) };
  },

  /** What a hostile name has become. */
  async hostile({ file }) {
    const { context, page, trouble } = await open(file);
    const strangers = await page.evaluate(() => {
      const ours = /^(html|head|meta|title|link|style|script|body|a|header|p|strong|nav|ul|ol|li|button|dl|div|dt|dd|main|section|svg|circle|path|rect|g|text|tspan|desc|h[1-6]|span|code|bdi|details|summary|pre|form|fieldset|legend|label|input|small|select|option|output|table|thead|tbody|tr|th|td|figure|figcaption|footer|time)$/;
      return Array.from(document.querySelectorAll("*")).map((element) => element.localName).filter((name) => !ours.test(name));
    });
    const handlers = await page.evaluate(() => Array.from(document.querySelectorAll("*"))
      .flatMap((element) => element.getAttributeNames()).filter((name) => name.startsWith("on") || name === "style" || name === "srcdoc"));
    const text = await page.locator("main").innerText();
    const ran = await page.evaluate(() => window.pwned ?? null);
    const own = [...trouble];
    // What a name cannot do, a script that got in some other way cannot either.
    await page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "window.pwned = true";
      document.body.append(script);
      const image = new Image();
      image.src = "https://example.com/pixel.png";
      document.body.append(image);
      return fetch("https://example.com/").catch(() => {});
    });
    const refused = trouble.slice(own.length);
    const ran_then = await page.evaluate(() => window.pwned ?? null);
    await context.close();
    return { strangers, handlers, text, ran, ran_then, trouble: own, refused };
  },
};

const seen = [];
for (const task of tasks) seen.push(await looks[task.what](task));
await browser.close();
rmSync(profile, { recursive: true, force: true });
process.stdout.write(JSON.stringify(seen));
