"use strict";
const synctool = (() => {
  const root = document.documentElement;
  const each = (selector, act, within = document) => within.querySelectorAll(selector).forEach(act);

  // Colours: what the system says, unless somebody chose.
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const remembered = () => { try { return localStorage.getItem("synctool-theme"); } catch { return null; } };
  const remember = (theme) => { try { localStorage.setItem("synctool-theme", theme); } catch { /* not allowed here */ } };
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
  const showTheme = () => {
    button.setAttribute("aria-pressed", String(isDark()));
  };
  if (remembered()) root.dataset.theme = remembered();
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember(root.dataset.theme);
    showTheme();
  });
  system.addEventListener("change", showTheme);
  showTheme();

  // In a frame: without its own bar, as high as what is in it, in the colours of the page around it.
  if (parent !== window) {
    root.classList.add("framed");
    const tell = () => parent.postMessage({ synctool: "height", px: Math.ceil(document.body.getBoundingClientRect().height) }, "*");
    new ResizeObserver(tell).observe(document.body);
    addEventListener("message", (event) => {
      if (event.source === parent && ["dark", "light"].includes(event.data?.theme)) root.dataset.theme = event.data.theme;
    });
  }

  // Tables: sorted by a click or by Enter on a title; what is not known stands last.
  const key = (row, column, numeric) => {
    const cell = row.cells[column];
    const value = cell.dataset.v ?? cell.textContent.trim();
    return value === "" ? null : numeric ? Number(value) : value;
  };
  const sort = (table, head, numeric) => {
    const column = head.cellIndex;
    const up = head.getAttribute("aria-sort") !== "ascending";
    each("th[aria-sort]", (other) => other.removeAttribute("aria-sort"), table);
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const sign = up ? 1 : -1;
    const words = new Intl.Collator("en", { numeric: true });
    const compare = (a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
      return sign * (numeric ? a.key - b.key : words.compare(a.key, b.key));
    };
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => ({ row, key: key(row, column, numeric) }));
    body.append(...rows.sort(compare).map((entry) => entry.row));
  };
  each("table[data-sortable]", (table) => each("thead button", (title) => {
    title.addEventListener("click", () => sort(table, title.closest("th"), title.dataset.kind === "n"));
  }, table));

  // Filters: words that must all be in a row, and values chosen from lists.
  each("[data-table]", (box) => {
    const tools = box.querySelector(".tools");
    if (!tools) return;
    tools.hidden = false;
    const rows = Array.from(box.querySelector("tbody").rows);
    const filter = () => {
      const words = tools.querySelector("[data-filter]").value.toLowerCase().split(/\s+/).filter(Boolean);
      const choices = Array.from(tools.querySelectorAll("[data-choice]"), (list) => [Number(list.dataset.choice), list.value]);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !(words.every((word) => text.includes(word))
          && choices.every(([column, value]) => value === "" || (row.cells[column].dataset.v ?? row.cells[column].textContent) === value));
        shown += !row.hidden;
      }
      tools.querySelector("output").textContent =
        shown === rows.length ? `${shown} rows` : `${shown} of ${rows.length} rows`;
    };
    tools.addEventListener("input", filter);
  });

  // Charts over time: what the frame under the pointer says; arrow keys do it, too.
  const clock = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(1).padStart(4, "0")}`;
  const words = (ms) => ms === null ? "no offset" : ms === 0 ? "0 ms" : `${Math.abs(ms)} ms ${ms > 0 ? "ahead" : "behind"}`;
  const nearest = (times, t) => {
    let low = 0, high = times.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] < t) low = middle + 1; else high = middle;
    }
    return low > 0 && t - times[low - 1] < times[low] - t ? low - 1 : low;
  };
  each("[data-readout]", (figure) => {
    const svg = figure.querySelector("svg.chart");
    const line = svg.querySelector(".pointer");
    const out = figure.querySelector(".readout");
    let data, at = 0;
    const load = () => data ??= JSON.parse(figure.querySelector("script").textContent);
    const show = (t) => {
      const { x, end, lines } = load();
      at = Math.min(Math.max(t, 0), end);
      const place = x[0] + (x[1] - x[0]) * at / end;
      line.setAttribute("transform", `translate(${place} 0)`);
      line.setAttribute("visibility", "visible");
      const told = lines.filter((l) => l.t.length).map((l) => {
        const i = nearest(l.t, at);
        const sure = l.c[i] === null ? "" : `, confidence ${l.c[i].toFixed(2)}`;
        return `${l.name ? l.name + ": " : ""}${words(l.ms[i])}${sure}`;
      });
      out.textContent = `${clock(at)}  ${told.join("; ")}`;
    };
    const hide = () => { line.setAttribute("visibility", "hidden"); out.textContent = ""; };
    const under = (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const { x, end } = load();
      return (point.x - x[0]) / (x[1] - x[0]) * end;
    };
    const choose = () => svg.dispatchEvent(new CustomEvent("choose", { detail: at, bubbles: true }));
    svg.addEventListener("pointermove", (event) => show(under(event)));
    svg.addEventListener("click", (event) => { show(under(event)); choose(); });
    svg.addEventListener("pointerleave", hide);
    svg.setAttribute("tabindex", "0");
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const end = load().end;
      const step = { ArrowRight: end / 100, ArrowLeft: -end / 100, PageDown: end / 10, PageUp: -end / 10 }[event.key];
      if (event.key === "Home") show(0);
      else if (event.key === "End") show(end);
      else if (step) show(at + step);
      else if (event.key === "Enter") choose();
      else return;
      event.preventDefault();
    });
  });

  // Links open what they lead to; paper gets everything.
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const closed = target && target.closest("details:not([open])");
    if (closed) { closed.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", open);
  open();
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = Array.from(document.querySelectorAll("details:not([open])"));
    opened.forEach((part) => { part.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((part) => { part.open = false; }));

  // Results for programs.
  each("[data-save]", (saver) => {
    saver.parentElement.hidden = false;
    saver.addEventListener("click", () => {
      const text = document.getElementById(saver.dataset.save).textContent;
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text + "\n"], { type: "application/json" }));
      link.download = saver.dataset.name;
      link.click();
      URL.revokeObjectURL(link.href);
    });
  });
  return { clock, each, nearest, words };
})();
