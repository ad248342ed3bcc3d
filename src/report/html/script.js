// The page is whole without this. With it: filters, copying, unfolding, and a choice of light or dark.
(function () {
  "use strict";
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const one = (selector, root = document) => root.querySelector(selector);

  // Light or dark: first what the system says, then what was chosen here.
  const theme = one("button.theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const kept = () => { try { return localStorage.getItem("evodoctor-theme"); } catch { return null; } };
  const show = (name) => {
    document.documentElement.dataset.theme = name;
    theme.textContent = name === "dark" ? "Light" : "Dark";
    theme.setAttribute("aria-label", "Show in " + theme.textContent.toLowerCase() + " colours");
  };
  show(kept() || (dark.matches ? "dark" : "light"));
  dark.addEventListener("change", () => { if (!kept()) show(dark.matches ? "dark" : "light"); });
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const name = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    show(name);
    try { localStorage.setItem("evodoctor-theme", name); } catch { /* this page only, then */ }
  });

  // Commands can be copied where the browser lets a page do so.
  for (const command of all(".command")) {
    if (!navigator.clipboard) break;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    const text = one("code", command).textContent;
    button.setAttribute("aria-label", "Copy " + text);
    button.addEventListener("click", () => {
      const say = (word) => {
        button.textContent = word;
        setTimeout(() => { button.textContent = "Copy"; }, 1500);
      };
      navigator.clipboard.writeText(text).then(() => say("Copied"), () => say("No"));
    });
    command.append(button);
  }

  // Findings by severity, code and words.
  const form = one("form.filters");
  if (form) {
    const findings = all("#findings li.finding").map((element) => ({
      element,
      severity: element.dataset.severity,
      code: element.dataset.code,
      text: element.textContent.toLowerCase(),
    }));
    const rules = all("#findings section.rule");
    const filter = () => {
      const severities = all("[name=severity]:checked", form).map((box) => box.value);
      const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
      const code = form.elements.code.value;
      let shown = 0;
      for (const finding of findings) {
        const fits = severities.includes(finding.severity) && (!code || finding.code === code) &&
          words.every((word) => finding.text.includes(word) || finding.code.toLowerCase().includes(word));
        finding.element.hidden = !fits;
        shown += fits ? 1 : 0;
      }
      // What is looked for is shown, also where it was folded.
      if (words.length) for (const rest of all("#findings details.rest")) rest.open = true;
      for (const rule of rules) rule.hidden = !one("li.finding:not([hidden])", rule);
      form.elements.shown.value = shown + " of " + findings.length;
    };
    form.hidden = false;
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    const unfold = form.elements.unfold;
    unfold.addEventListener("click", () => {
      const open = unfold.textContent === "Unfold all";
      for (const details of all("#findings details")) details.open = open;
      unfold.textContent = open ? "Fold all" : "Unfold all";
    });
    // A browser may have kept what was typed before the page was loaded again.
    filter();
  }

  // On paper nothing is folded but the many that are alike.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open]):not(.rest)");
    for (const details of folded) details.open = true;
  });
  addEventListener("afterprint", () => { for (const details of folded) details.open = false; });
})();
