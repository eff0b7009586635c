"use strict";
// Players: a small copy of the video, silent, and its audio, played by Web Audio as it is or repaired. The
// video has the clock: whatever it does, the audio is started anew where it belongs.
(() => {
  const { clock, each, nearest, words } = synctool;
  const STEP_S = 5;
  const AHEAD_S = 0.05;    // from deciding to hearing
  const FADE_S = 0.004;
  const CHECK_MS = 80;
  const TOLERANCE_S = 0.005;
  let context;             // of all players: browsers allow few
  const all = [];

  const bytes = (element) => {
    const text = atob(element.textContent);
    const made = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) made[i] = text.charCodeAt(i);
    element.remove();      // its data is not needed twice
    return made;
  };

  // The audio, and where its content begins: what decoders cut off at the beginning differs, so the sync mark
  // is looked for.
  const decode = async (data, { hz, mark, lead }) => {
    let offline;
    try { offline = new OfflineAudioContext(1, 1, hz); } catch { offline = new OfflineAudioContext(1, 1, 48000); }
    const buffer = await offline.decodeAudioData(data);
    const samples = buffer.getChannelData(0);
    let peak = 0;
    for (let i = 1; i < Math.min(samples.length, (lead - 0.1) * buffer.sampleRate); i++) {
      if (Math.abs(samples[i]) > Math.abs(samples[peak])) peak = i;
    }
    return { buffer, begins: peak / buffer.sampleRate + lead - mark };
  };

  // The moment of the context that is heard now, latency of the output and all.
  const heard = () => {
    const stamp = context.getOutputTimestamp ? context.getOutputTimestamp() : {};
    if (stamp.contextTime > 0 && stamp.performanceTime > 0) {
      return stamp.contextTime + (performance.now() - stamp.performanceTime) / 1000;
    }
    return context.currentTime - (context.outputLatency || context.baseLatency || 0);
  };

  const player = (figure) => {
    const find = (name) => figure.querySelector(`[data-${name}]`);
    const video = figure.querySelector("video");
    const [play, seek, speed, time, now, trouble] = ["play", "seek", "speed", "clock", "now", "trouble"].map(find);
    const plan = JSON.parse(find("plan").textContent);
    const chart = figure.closest("[data-one]").querySelector("[data-readout]");
    let audio = null, loading = null, repaired = false, run = null, errors = [], timer = 0, target = null;

    // Times: of the small copy, and of the video.
    const partAt = (p) => plan.parts.findLastIndex((part) => part[0] <= p + 1e-6);
    const videoTime = (p) => {
      const [at, start, end] = plan.parts[Math.max(partAt(p), 0)];
      return Math.min(start + p - at, end);
    };
    const copyTime = (t) => {
      let best = 0, away = Infinity;
      for (const [at, start, end] of plan.parts) {
        const inside = Math.min(Math.max(t, start), end - plan.frame / 2);
        if (Math.abs(inside - t) < away) [best, away] = [at + inside - start, Math.abs(inside - t)];
      }
      return best;
    };
    const spanAt = (t) => plan.spans[Math.max(plan.spans.findLastIndex((span) => span[0] <= t), 0)];
    const offset = (t) => {
      if (!repaired) return 0;
      const [start, ms, drift] = spanAt(t);
      return (ms + drift * (t - start) / 60) / 1000;
    };

    // Pieces of the copy in which the audio runs on evenly: until a part ends, or another offset holds.
    const pieces = () => plan.parts.flatMap(([at, start, end], number) => {
      const [kept, from, to] = plan.audio[number];
      const inside = repaired ? plan.spans.map((span) => span[0]).filter((t) => t > start && t < end) : [];
      return [start, ...inside].map((t, i) => ({
        start: at + t - start,
        end: at + (inside[i] ?? end) - start,
        slope: 1 - (repaired ? spanAt(t)[2] / 60000 : 0),
        place: audio.begins + kept + t - offset(t) - from,
        low: audio.begins + kept,
        high: audio.begins + kept + to - from,
      }));
    });

    const stop = () => {
      if (!run) return;
      const silent = context.currentTime + FADE_S;
      run.gain.gain.setTargetAtTime(0, context.currentTime, FADE_S / 3);
      for (const source of run.sources) source.stop(Math.max(silent, context.currentTime));
      run = null;
    };
    const start = () => {
      stop();
      if (!audio || !context || video.paused || video.seeking || video.ended || video.readyState < 3) return;
      const rate = video.playbackRate;
      const begin = context.currentTime + AHEAD_S;
      const p = video.currentTime + (begin - heard()) * rate;  // what is shown when that moment is heard
      const gain = new GainNode(context);
      gain.connect(context.destination);
      const sources = [];
      for (const piece of pieces()) {
        const from = Math.max(piece.start, p, piece.start + (piece.low - piece.place) / piece.slope);
        const until = Math.min(piece.end, piece.start + (piece.high - piece.place) / piece.slope);
        if (until - from < 2 * FADE_S) continue;
        const [on, off] = [from, until].map((at) => begin + (at - p) / rate);
        const fade = new GainNode(context, { gain: 0 });
        fade.gain.setValueAtTime(0, on);
        fade.gain.linearRampToValueAtTime(1, on + FADE_S);
        fade.gain.setValueAtTime(1, Math.max(off - FADE_S, on + FADE_S));
        fade.gain.linearRampToValueAtTime(0, Math.max(off, on + 2 * FADE_S));
        fade.connect(gain);
        const source = new AudioBufferSourceNode(context, { buffer: audio.buffer, playbackRate: rate * piece.slope });
        source.connect(fade);
        source.start(on, piece.place + (from - piece.start) * piece.slope, (until - from) * piece.slope);
        sources.push(source);
      }
      run = { begin, p, rate, gain, sources };
      errors = [];
    };
    const check = () => {
      if (!run) { start(); return; }  // whatever event a browser leaves out
      const error = (video.currentTime - run.p) / run.rate - (heard() - run.begin);
      errors = [...errors.slice(-4), error];
      const middle = [...errors].sort((a, b) => a - b)[errors.length >> 1];
      if (errors.length >= 3 && Math.abs(middle) > TOLERANCE_S) start();
    };

    const load = () => {
      if (video.src) return;
      const data = find("video");
      video.src = URL.createObjectURL(new Blob([bytes(data)], { type: data.dataset.type }));
    };
    const listen = () => loading ??= decode(bytes(find("audio")).buffer, plan)
      .then((made) => { audio = made; })
      .catch(() => { trouble.textContent = "This browser cannot decode the audio."; });
    const toggle = async () => {
      if (!video.paused) { video.pause(); return; }
      load();
      all.forEach((other) => other !== video && other.pause());
      context ??= new AudioContext();
      context.resume();
      if (video.ended) goTo(0);
      const started = video.play();
      await Promise.allSettled([started, listen()]);
      if (!run) start();
    };
    // One move at a time: Chromium's decoder may hang when another comes before it is done.
    const position = () => target ?? video.currentTime;
    const goTo = (p) => {
      load();
      target = Math.min(Math.max(p, 0), plan.end - plan.frame / 2);
      if (!video.seeking) video.currentTime = target;
      show();
    };
    const arrived = () => {
      if (target !== null && Math.abs(video.currentTime - target) > 1e-3) { video.currentTime = target; return; }
      target = null;
      start();
    };
    const step = (frames) => {
      video.pause();
      goTo((Math.floor(position() / plan.frame + 1e-3) + 0.5 + frames) * plan.frame);
    };
    const choose = (yes) => {
      if (!plan.spans || repaired === yes) return;
      repaired = yes;
      each("[data-repaired]", (button) => button.setAttribute("aria-pressed", String((button.dataset.repaired === "yes") === repaired)), figure);
      show();
      start();
    };

    // What is seen.
    const lines = chart && JSON.parse(chart.querySelector("script").textContent);
    let head;
    if (chart) {
      const pointer = chart.querySelector(".pointer");
      head = pointer.cloneNode();
      head.setAttribute("class", "playhead");
      const place = (t) => lines.x[0] + (lines.x[1] - lines.x[0]) * t / lines.end;
      if (plan.excerpt) {
        const [, top, bottom] = /^M0 ([\d.]+)V([\d.]+)$/.exec(pointer.getAttribute("d"));
        for (const [, from, to] of plan.parts) {
          const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
          const size = { x: place(from), y: bottom - 3, width: place(to) - place(from), height: 3, class: "excerpt" };
          Object.entries(size).forEach(([name, value]) => bar.setAttribute(name, value));
          pointer.before(bar);
        }
      }
      pointer.before(head);
      head.move = (t) => {
        head.setAttribute("transform", `translate(${place(t)} 0)`);
        head.setAttribute("visibility", "visible");
      };
      chart.classList.add("seekable");
      chart.addEventListener("choose", (event) => goTo(copyTime(event.detail)));
    }
    const measured = (t) => {
      const line = lines && lines.lines.find((l) => l.t.length);
      if (!line) return "";
      const i = nearest(line.t, t);
      if (Math.abs(line.t[i] - t) > 0.5) return "Nothing measured here";
      if (line.ms[i] === null) return "No offset measured here";
      const unsure = line.c[i] !== null && line.c[i] < 0.5 ? `, with a confidence of ${line.c[i].toFixed(2)} only` : "";
      return `Audio ${words(line.ms[i])} here${unsure}`;
    };
    const played = (t) => {
      const ms = Math.round(1000 * offset(t));
      if (!repaired) return "you hear it as it is";
      return ms === 0 ? "you hear it as it is, nothing to repair here" : `you hear it ${ms > 0 ? "delayed" : "advanced"} by ${Math.abs(ms)} ms`;
    };
    const show = () => {
      const p = position();
      const t = videoTime(p);
      seek.value = p;
      const text = `${clock(t)} of ${clock(lines ? lines.end : plan.end)}`;
      if (time.textContent !== text) {
        time.textContent = text;
        seek.setAttribute("aria-valuetext", text);
      }
      const said = [measured(t), played(t)].filter(Boolean).join("; ");
      const sentence = said[0].toUpperCase() + said.slice(1) + ".";
      if (now.textContent !== sentence) now.textContent = sentence;
      if (head) head.move(t);
    };
    const follow = () => {
      show();
      if (!video.paused) requestAnimationFrame(follow);
    };

    for (const event of ["playing", "ratechange"]) video.addEventListener(event, start);
    video.addEventListener("seeked", arrived);
    for (const event of ["pause", "waiting", "seeking", "ended"]) video.addEventListener(event, stop);
    video.addEventListener("play", () => {
      play.textContent = "Pause";
      clearInterval(timer);
      timer = setInterval(check, CHECK_MS);
      requestAnimationFrame(follow);
    });
    video.addEventListener("pause", () => { play.textContent = "Play"; clearInterval(timer); });
    for (const event of ["seeking", "seeked", "loadedmetadata"]) video.addEventListener(event, show);
    video.addEventListener("error", () => { trouble.textContent = `This browser cannot play ${find("video").dataset.type}.`; });
    video.addEventListener("click", () => { figure.focus(); toggle(); });
    play.addEventListener("click", toggle);
    seek.addEventListener("input", () => goTo(Number(seek.value)));
    speed.addEventListener("change", () => { video.playbackRate = Number(speed.value); });
    each("[data-repaired]", (button) => button.addEventListener("click", () => choose(button.dataset.repaired === "yes")), figure);
    figure.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target === speed) return;
      if (event.key === " " && event.target.matches("button")) return;
      const act = {
        " ": toggle,
        ArrowLeft: () => goTo(position() - STEP_S),
        ArrowRight: () => goTo(position() + STEP_S),
        ",": () => step(-1),
        ".": () => step(1),
        r: () => choose(!repaired),
      }[event.key.toLowerCase() === "r" ? "r" : event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });

    figure.hidden = false;
    all.push(video);
    show();
    const watch = new IntersectionObserver((seen) => {
      if (seen.some((entry) => entry.isIntersecting)) { load(); watch.disconnect(); }
    }, { rootMargin: "200px" });
    watch.observe(figure);
  };
  each("[data-player]", player);
})();
