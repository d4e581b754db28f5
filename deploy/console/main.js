// The page: which view is shown, what the feed says to it, keys, and whether the connection is there.

import { h, clock } from "./dom.js";
import { ask } from "./api.js";
import { hold, submit, keys } from "./control.js";
import { factory } from "./factory.js";
import { video } from "./video.js";
import { videos, dead, log } from "./lists.js";

const main = document.getElementById("main");
const latest = {}, past = [];
let view = {};

function show() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, id] = path.split("/");
  main.replaceChildren();
  main.className = `view-${name || "factory"}`;
  view = name === "videos" ? videos(main, query) : name === "video" ? video(main, decodeURIComponent(id ?? "")) : name === "dead" ? dead(main) : name === "log" ? log(main, past) : factory(main);
  for (const link of document.querySelectorAll("nav a")) link.toggleAttribute("aria-current", link.dataset.view === (name === "video" ? "videos" : name || "factory"));
  for (const [kind, told] of Object.entries(latest)) view[kind]?.(told);
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
}

const hear = {
  overview(seen) {
    const gate = document.getElementById("gate"), holds = document.getElementById("holds");
    gate.textContent = seen.gate;
    gate.className = `pill ${seen.gate}`;
    document.title = `${seen.gate === "open" ? "" : `${seen.gate.toUpperCase()} · `}YTEMPIRE Pipeline`;
    holds.hidden = !seen.holds.length;
    holds.replaceChildren(...seen.holds.map((one) => h("div", {}, h("b", {}, one.kind), ` by ${one.by} since ${clock(one.placed_at)}${one.reason || one.cause ? `: ${one.reason || one.cause}` : ""}`)));
    document.getElementById("resume").hidden = seen.gate === "open";
    document.getElementById("pause").hidden = seen.gate !== "open";
  },
  processes(heard) {
    const count = document.getElementById("dead-count");
    count.hidden = !heard.dead_letters;
    count.textContent = heard.dead_letters ?? "";
  },
  event(happened) {
    past.push(happened);
    if (past.length > 500) past.shift();
  },
};

function connect() {
  const feed = new EventSource("/live");
  const link = document.getElementById("link"), gone = document.getElementById("gone");
  let lost = null, heard = Date.now();
  const alive = () => {
    heard = Date.now();
    if (lost === null && link.textContent === "live") return;
    lost = null;
    link.textContent = "live";
    link.className = "pill good";
    gone.hidden = true;
    document.body.classList.remove("stale");
  };
  const silent = () => {
    lost ??= new Date();
    link.textContent = "no connection";
    link.className = "pill bad";
    gone.hidden = false;
    gone.textContent = `No connection to the gateway since ${clock(lost)}. What you see is as it was then; the factory itself may well be working. Trying again…`;
    document.body.classList.add("stale");
  };
  for (const kind of ["overview", "processes", "event"]) {
    feed.addEventListener(kind, (message) => {
      alive();
      const told = JSON.parse(message.data);
      if (kind !== "event") latest[kind] = told;
      hear[kind](told);
      view[kind]?.(told);
    });
  }
  feed.addEventListener("alive", alive);
  feed.addEventListener("lost", () => past.push({ stream: "console", id: `${Date.now()}-0`, fields: { type: "events were lost: this page was too slow" } }));
  feed.onerror = () => {
    silent();
    if (feed.readyState === EventSource.CLOSED) {
      feed.close();
      clearInterval(watch);
      ask("/overview").catch(() => {}).finally(() => setTimeout(connect, 2000));
    }
  };
  const watch = setInterval(() => { if (Date.now() - heard > 25000) silent(); }, 2000);
}

function theme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* a browser that keeps nothing */ }
}

try { const kept = localStorage.getItem("theme"); if (kept) document.documentElement.dataset.theme = kept; } catch { /* likewise */ }

const does = { submit: () => submit(), pause: () => hold("pause"), resume: () => hold("resume"), halt: () => hold("halt"), theme, help: keys };
for (const [id, run] of Object.entries(does)) document.getElementById(id).addEventListener("click", run);

const pressed = { n: does.submit, p: does.pause, r: does.resume, h: does.halt, t: theme, "?": keys, 1: () => { location.hash = "#/"; }, 2: () => { location.hash = "#/videos"; }, 3: () => { location.hash = "#/dead"; }, 4: () => { location.hash = "#/log"; },
  "/": () => { if (!document.getElementById("search")) location.hash = "#/videos"; setTimeout(() => document.getElementById("search")?.focus()); } };
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  const run = pressed[event.key];
  if (run) { event.preventDefault(); run(); }
});

addEventListener("hashchange", show);
show();
connect();
