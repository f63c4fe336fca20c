"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const root = document.documentElement;

  // Light, dark, or what the system says; kept for the next report where the browser allows it.
  const themes = ["auto", "light", "dark"];
  const themeButton = byId("theme");
  const remembered = (() => { try { return localStorage.getItem("snn-energy-theme"); } catch { return null; } })();
  const setTheme = (name) => {
    if (name === "auto") delete root.dataset.theme; else root.dataset.theme = name;
    themeButton.textContent = `Theme: ${name}`;
    try { localStorage.setItem("snn-energy-theme", name); } catch { /* private windows refuse */ }
  };
  setTheme(themes.includes(remembered) ? remembered : "auto");
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    setTheme(themes[(themes.indexOf(root.dataset.theme || "auto") + 1) % themes.length]);
  });

  // The table of layers: sorted by a click on a heading, filtered by text and part.
  const table = byId("layer-table");
  if (table) {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const headings = [...table.tHead.rows[0].cells];
    const energyColumn = headings.length - 2;
    const input = byId("layer-filter"), part = byId("layer-part"), count = byId("layer-count");
    const numeric = (column) => headings[column].classList.contains("number");
    const value = (row, column) => {
      const text = row.cells[column].textContent.trim();
      if (text === "") return null;
      return numeric(column) ? Number(text.replaceAll(",", "")) : text;
    };
    const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));

    headings.forEach((heading, column) => {
      heading.querySelector("button").addEventListener("click", () => {
        const first = numeric(column) ? "descending" : "ascending";
        const second = numeric(column) ? "ascending" : "descending";
        const next = { none: first, [first]: second, [second]: "none" }[heading.getAttribute("aria-sort")];
        headings.forEach((other) => other.setAttribute("aria-sort", "none"));
        heading.setAttribute("aria-sort", next);
        const sign = next === "descending" ? -1 : 1;
        const rows = next === "none" ? original : [...original].sort((one, another) => {
          const a = value(one, column), b = value(another, column);
          if (a === null || b === null) return (a === null) - (b === null); // empty cells stay last
          return sign * compare(a, b);
        });
        body.append(...rows);
        byId("said").textContent = next === "none" ? "In the order of the network" : `Sorted by ${heading.textContent}, ${next}`;
      });
    });

    // Printed energies have a fixed number of decimals, so they add up as integers.
    const steps = (row) => Number(row.cells[energyColumn].textContent.replace(/[.,]/g, ""));
    const decimals = original.length ? original[0].cells[energyColumn].textContent.split(".")[1].length : 0;
    const show = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const shown = original.filter((row) => {
        const text = [...row.cells].slice(0, 4).map((cell) => cell.textContent).join(" ").toLowerCase();
        const keep = (!part.value || row.dataset.part === part.value) && words.every((word) => text.includes(word));
        row.hidden = !keep;
        return keep;
      });
      const sum = shown.reduce((total, row) => total + steps(row), 0) / 10 ** decimals;
      count.textContent = `${shown.length} of ${original.length} rows, ${sum.toFixed(decimals)} ${table.dataset.unit}`;
    };
    input.addEventListener("input", show);
    part.addEventListener("change", show);
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && input.value) { input.value = ""; event.preventDefault(); show(); }
    });
    count.closest(".controls").hidden = false;
    show();
  }

  // Tooltips. Each mark carries its words in a <title>, which browsers show late and never for the keyboard.
  const tip = byId("tip");
  const words = new Map();
  document.querySelectorAll(".mark > title").forEach((title) => {
    words.set(title.parentNode, title.textContent);
    title.remove();
  });
  document.querySelectorAll("table.heat").forEach((heat) => {
    const steps = [...heat.tHead.rows[0].cells].map((cell) => cell.textContent);
    for (const row of heat.tBodies[0].rows) {
      const name = [...row.cells[0].childNodes].filter((node) => node.nodeName !== "SMALL").map((node) => node.textContent).join("");
      [...row.cells].slice(1, -1).forEach((cell, i) => words.set(cell, `${name}, ${steps[i + 1]}: ${cell.textContent}`));
    }
  });
  const hide = () => { tip.hidden = true; document.querySelector(".mark.current, .heat .current")?.classList.remove("current"); };
  const place = (box) => {
    tip.hidden = false;
    const size = tip.getBoundingClientRect();
    const x = Math.min(Math.max(box.x - size.width / 2, 8), root.clientWidth - size.width - 8);
    const above = box.y - size.height - 10;
    tip.style.left = `${x}px`;
    tip.style.top = `${above < 8 ? box.y + 18 : above}px`;
  };
  const point = (mark, box) => {
    hide();
    mark.classList.add("current");
    tip.textContent = words.get(mark);
    place(box);
  };
  document.addEventListener("pointerover", (event) => {
    const mark = event.target.closest?.(".mark, .heat td");
    if (words.has(mark)) point(mark, { x: event.clientX, y: event.clientY }); else hide();
  });
  document.addEventListener("pointermove", (event) => {
    if (!tip.hidden && event.target.closest?.(".mark, .heat td")) place({ x: event.clientX, y: event.clientY });
  });
  document.addEventListener("scroll", () => { if (!document.activeElement?.dataset.chart) hide(); }, true);

  // A chart is one stop of the Tab key; the arrow keys go through its marks.
  document.querySelectorAll("[data-chart]").forEach((chart) => {
    const marks = [...chart.querySelectorAll(".mark, tbody td")].filter((mark) => words.has(mark));
    if (!marks.length) return;
    const heat = chart.querySelector("table.heat");
    const wide = heat ? heat.tHead.rows[0].cells.length - 2 : 1;
    let at = -1;
    chart.tabIndex = 0;
    if (!heat) chart.setAttribute("aria-label", `${chart.dataset.chart}; the arrow keys read the values`);
    chart.addEventListener("keydown", (event) => {
      const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: wide, ArrowUp: -wide };
      const jumps = { Home: 0, End: marks.length - 1 };
      if (event.key === "Escape") { hide(); return; }
      if (event.key in steps) at = at < 0 ? 0 : Math.min(Math.max(at + steps[event.key], 0), marks.length - 1);
      else if (event.key in jumps) at = jumps[event.key];
      else return;
      event.preventDefault();
      const mark = marks[at];
      mark.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
      const box = mark.getBoundingClientRect();
      point(mark, { x: box.left + box.width / 2, y: box.top });
      byId("said").textContent = words.get(mark);
    });
    chart.addEventListener("blur", hide);
  });

  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((each) => { each.open = true; });
  });
})();
