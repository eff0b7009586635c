"use strict";
// The page of synctool serve: videos are sent one after the other, and followed over one stream of events.
(() => {
  const { each } = synctool;
  const find = (id) => document.getElementById(id);
  const [door, inside, drop, files, told, problem, list] = ["door", "inside", "drop", "files", "told", "problem", "jobs"].map(find);
  const STAGES = { measuring: "Measuring", reporting: "Writing the report", repairing: "Repairing", checking: "Measuring the repaired video" };
  const cards = new Map();     // by id of the job
  const mine = new Set();      // sent by this page, and not told of yet
  const waiting = [];          // to be sent
  let sending = false, stream = null, about = null, opened = false, before = null;

  const say = (text) => { told.textContent = text; };
  const amount = (bytes) => bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
  const ask = async (path, options) => {
    const answer = await fetch(path, options);
    if (answer.status === 401) { showDoor(); throw new Error("no token"); }
    if (!answer.ok) throw new Error(words(await answer.json().catch(() => null), answer.status));
    return answer.status === 204 ? null : answer.json();
  };
  const sentence = (text, name) => name && text.startsWith(name) ? `${text}.` : `${text[0].toUpperCase()}${text.slice(1)}.`;
  const words = (said, status, name) => said?.error ? [sentence(said.error, name), said.remedy].filter(Boolean).join(" ") : `The server answers with ${status}.`;

  // Cards: one for each video, whether it is being sent, waits, is measured or done.
  const makeCard = (name) => {
    const card = find("card").content.firstElementChild.cloneNode(true);
    const of = card.of = (key) => card.querySelector(`[data-${key}]`);
    of("name").textContent = name;
    card.querySelector("progress").setAttribute("aria-label", `Progress of ${name}`);
    each("[data-file], [data-report]", (element) => { element.hidden = true; }, card);
    find("none").hidden = true;
    of("report").addEventListener("click", () => toggleReport(card));
    of("delete").addEventListener("click", () => card.stop());
    return card;
  };
  const going = (card, share, text) => {
    const bar = card.querySelector("progress");
    bar.hidden = false;
    if (share === null) bar.removeAttribute("value"); else bar.value = share;
    card.of("stage").textContent = share === null ? text : `${text}, ${Math.floor(100 * share)} %`;
    card.querySelector(".going").hidden = false;
  };
  const stands = (card, text) => {  // a bar that moves would say that something is done
    going(card, null, text);
    card.querySelector("progress").hidden = true;
  };
  const verdict = (name) => document.querySelector(`template[data-verdict="${name}"]`)?.content.cloneNode(true) ?? name;
  const removeCard = (card, id) => {
    const next = card.nextElementSibling ?? card.previousElementSibling;
    const focused = card.contains(document.activeElement);
    card.remove();
    cards.delete(id);
    find("none").hidden = list.children.length > 0;
    if (focused) (next?.querySelector("button:not([hidden])") ?? files).focus();
  };
  const fill = (card, job) => {
    const { of } = card;
    const finished = job.state === "done" || job.state === "failed";
    card.job = job;
    of("name").textContent = job.name;
    of("state").replaceChildren(...(finished ? [verdict(job.problem ? "failed" : job.verdict)] : []));
    of("said").textContent = job.problem || !job.said ? "" : sentence(job.said);
    of("problem").textContent = job.problem ? words(job.problem, 0, job.name) : "";
    of("repair").textContent = job.repair ? sentence(job.repair) : "";
    card.querySelector(".going").hidden = finished;
    if (job.state === "queued") stands(card, job.ahead ? `Waiting, ${job.ahead} before it` : "Waiting");
    if (job.state === "running") going(card, job.share, STAGES[job.stage] ?? "Starting");
    each("[data-file]", (link) => {
      link.hidden = !job.files.includes(link.dataset.file);
      link.href = `api/jobs/${job.id}/${link.dataset.file}`;
    }, card);
    of("report").hidden = !job.files.includes("page");
    of("delete").textContent = finished ? "Delete" : "Cancel";
    of("delete").setAttribute("aria-label", `${finished ? "Delete" : "Cancel"} ${job.name}`);
    each("[data-file], [data-report]", (element) => element.setAttribute("aria-label", `${element.textContent}: ${job.name}`), card);
    card.stop = () => ask(`api/jobs/${job.id}`, { method: "DELETE" })
      .then(() => { removeCard(card, job.id); say(`${job.name} is deleted.`); })
      .catch((error) => { problem.textContent = error.message; });
    if (finished && mine.delete(job.id)) {
      say(`${job.name}: ${job.problem ? of("problem").textContent : job.said}`);
      if (!opened && job.files.includes("page")) { opened = true; toggleReport(card); }
    }
  };
  const show = (job, first) => {
    let card = cards.get(job.id);
    if (!card) {
      card = makeCard(job.name);
      cards.set(job.id, card);
      if (first) list.prepend(card); else list.append(card);
    }
    fill(card, job);
  };

  // Reports: the page of a video in a frame that reaches nothing of this one; it tells how high it is.
  const toggleReport = (card) => {
    const box = card.of("frame"), open = box.hidden;
    box.hidden = !open;
    card.of("report").setAttribute("aria-expanded", String(open));
    if (!open || box.firstChild) return;
    const frame = document.createElement("iframe");
    frame.setAttribute("sandbox", "allow-scripts allow-downloads");
    frame.setAttribute("allow", "autoplay");
    frame.title = `Report of ${card.job.name}`;
    frame.src = `api/jobs/${card.job.id}/page`;
    frame.addEventListener("load", () => paint(frame));
    box.append(frame);
  };
  const paint = (frame) => frame.contentWindow.postMessage({ theme: getComputedStyle(document.documentElement).colorScheme }, "*");
  addEventListener("message", (event) => {
    each("iframe", (frame) => {
      if (event.source === frame.contentWindow && event.data?.synctool === "height") frame.style.height = `${Math.min(Math.max(event.data.px, 200), 20000)}px`;
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => each("iframe", paint));
  new MutationObserver(() => each("iframe", paint)).observe(document.documentElement, { attributeFilter: ["data-theme"] });

  // Sending: one video after the other, from the disk to the server as it is read.
  const take = (chosen) => {
    problem.textContent = "";
    for (const file of chosen) {
      if (about && file.size > about.limits.upload_bytes) {
        problem.textContent = `${file.name} has ${amount(file.size)}; ${amount(about.limits.upload_bytes)} are allowed.`;
        continue;
      }
      const card = makeCard(file.name);
      card.of("delete").textContent = "Cancel";
      card.of("delete").setAttribute("aria-label", `Cancel ${file.name}`);
      stands(card, "Waiting to be sent");
      const order = { file, card, fix: find("fix").checked, request: null };
      card.stop = () => {
        const at = waiting.indexOf(order);
        if (at >= 0) waiting.splice(at, 1);
        order.request?.abort();
        removeCard(card);
        say(`${file.name} is not sent.`);
      };
      list.prepend(card);
      waiting.push(order);
    }
    sendNext();
  };
  const sendNext = () => {
    if (sending || !waiting.length) return;
    sending = true;
    const order = waiting.shift();
    const { file, card } = order;
    const request = order.request = new XMLHttpRequest();
    const failed = (text) => {
      card.querySelector(".going").hidden = true;
      card.of("state").replaceChildren(verdict("failed"));
      card.of("problem").textContent = text;
      card.of("delete").textContent = "Remove";
      say(`${file.name}: ${text}`);
    };
    request.open("POST", `api/jobs?name=${encodeURIComponent(file.name)}&fix=${order.fix}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => going(card, event.loaded / file.size, "Sending"));
    request.addEventListener("load", () => {
      if (request.status === 401) showDoor();
      if (request.status !== 201) { failed(words(request.response, request.status)); return; }
      const job = request.response;
      mine.add(job.id);
      cards.get(job.id)?.remove();
      cards.set(job.id, card);
      fill(card, job);
    });
    request.addEventListener("error", () => failed("It could not be sent: the connection broke off. Try again."));
    request.addEventListener("loadend", () => { sending = false; sendNext(); });
    say(`${file.name} is being sent.`);
    request.send(file);
  };
  files.addEventListener("change", () => { take(files.files); files.value = ""; });
  drop.addEventListener("submit", (event) => event.preventDefault());
  let over = 0;
  const dragged = (event) => !inside.hidden && event.dataTransfer.types.includes("Files");
  addEventListener("dragenter", (event) => { if (dragged(event)) { over++; drop.classList.add("over"); } });
  addEventListener("dragleave", (event) => { if (dragged(event) && --over <= 0) { over = 0; drop.classList.remove("over"); } });
  addEventListener("dragover", (event) => { if (dragged(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    if (!dragged(event)) return;
    event.preventDefault();
    over = 0;
    drop.classList.remove("over");
    take(event.dataTransfer.files);
  });
  addEventListener("beforeunload", (event) => { if (sending) event.preventDefault(); });

  // Following.
  const loadJobs = async () => {
    const found = await ask("api/jobs");
    const there = new Set(found.jobs.map((job) => job.id));
    found.jobs.toReversed().forEach((job) => show(job, !cards.has(job.id)));
    if (!found.next) for (const [id, card] of cards) if (!there.has(id)) removeCard(card, id);
    before ??= found.next;
    find("older").hidden = !before;
  };
  find("older").querySelector("button").addEventListener("click", async () => {
    const found = await ask(`api/jobs?before=${before}`);
    found.jobs.forEach((job) => show(job, false));
    before = found.next;
    find("older").hidden = !before;
  });
  const follow = () => {
    stream?.close();
    stream = new EventSource("api/events");
    stream.addEventListener("open", () => { problem.textContent = ""; loadJobs().catch(() => {}); });
    stream.addEventListener("job", (event) => {
      const job = JSON.parse(event.data);
      if (cards.has(job.id) || !sending) show(job, true);
    });
    stream.addEventListener("deleted", (event) => {
      const { id } = JSON.parse(event.data);
      if (cards.has(id)) removeCard(cards.get(id), id);
    });
    stream.addEventListener("error", () => {
      problem.textContent = "The connection to the server is lost. This page tries again.";
      if (stream.readyState === EventSource.CLOSED) setTimeout(enter, 3000);
    });
  };

  // Coming in.
  const showDoor = () => {
    stream?.close();
    inside.hidden = true;
    door.hidden = false;
    find("token").focus();
  };
  const enter = async () => {
    try {
      about = await ask("api/service");
    } catch (error) {
      if (!door.hidden) return;
      inside.hidden = false;
      problem.textContent = error.message;
      setTimeout(enter, 3000);
      return;
    }
    const { limits } = about;
    const kept = about.keep_hours ? ` Videos are deleted when they are done, reports and repaired videos ${about.keep_hours} h later.` : "";
    find("limits").textContent = `Up to ${amount(limits.upload_bytes)}, ${limits.minutes} min and ${limits.megapixels} megapixels each.${kept}`;
    door.hidden = true;
    inside.hidden = false;
    follow();
  };
  door.addEventListener("submit", async (event) => {
    event.preventDefault();
    const out = door.querySelector(".problem");
    const body = JSON.stringify({ token: find("token").value });
    const answer = await fetch("api/session", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    find("token").value = "";
    out.textContent = answer.ok ? "" : words(await answer.json().catch(() => null), answer.status);
    if (answer.ok) { await enter(); files.focus(); }
  });
  find("leave")?.addEventListener("click", async () => {
    await fetch("api/session", { method: "DELETE" });
    location.reload();
  });
  enter();
})();
