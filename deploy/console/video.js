// One video: what was asked, what came out, each attempt, each call that was paid, and what can be done about it.

import { h, fill, cents, day, clock, span } from "./dom.js";
import { ask } from "./api.js";
import { command } from "./control.js";

const STAGES = ["script", "media", "audio", "render", "quality"];

export function video(main, id) {
  const body = h("div", { class: "story" }, h("p", { class: "empty" }, "…"));
  main.append(body);
  let shown = "", busy = false;
  const load = async () => {
    if (busy) return;
    busy = true;
    try {
      const told = await ask(`/videos/${encodeURIComponent(id)}`);
      const text = JSON.stringify(told);
      if (text !== shown) {
        const playing = body.querySelector("video");
        if (!(playing && !playing.paused && told.files.film)) draw(body, told);
        shown = text;
      }
    } catch (refused) {
      fill(body, h("p", { class: "error" }, refused.message));
    } finally {
      busy = false;
    }
  };
  load();
  return { overview: load, event: (happened) => happened.fields.video === id && load() };
}

function draw(body, { video: v, calls, files }) {
  const brief = v.brief, ended = ["completed", "failed", "cancelled"].includes(v.status);
  const act = (label, run, kind = "") => h("button", { class: kind, onclick: run }, label);
  fill(body,
    h("div", { class: "row head" }, h("div", {}, h("h1", {}, v.topic), h("p", { class: "quiet" }, `${v.video} · accepted ${day(v.created_at)}${v.ended_at ? ` · ended ${day(v.ended_at)}` : ""}`)), h("span", { class: `chip big ${v.status}` }, v.status)),
    v.reason && h("p", { class: "error" }, v.reason));
  body.append(h("div", { class: "row actions" },
    !ended && act("Cancel", () => command("Cancel this video", v.topic, { type: "cancel", video: v.video }, { yes: "Cancel it", kind: "danger" }), "danger"),
    ended && act("Make it again…", () => retry(v)),
    files.film && h("a", { class: "button", href: `${files.film}?download=true` }, "Download"),
    Object.keys(files).filter((name) => name !== "film").map((name) => h("a", { class: "button", href: files[name] }, name))));
  const film = files.film ?? files.draft;
  if (film) body.append(h("video", { src: film, controls: true, preload: "metadata", poster: files.thumbnail ?? null, class: brief.aspect === "9:16" ? "tall" : "" },
    files.vtt && h("track", { src: files.vtt, kind: "captions", label: "Captions", srclang: v.documents.script?.language ?? "en" })));
  if (files.sheet) body.append(h("a", { href: files.sheet }, h("img", { src: files.sheet, class: "sheet", alt: "Contact sheet of the film", loading: "lazy" })));
  body.append(timeline(v), section("What was asked", asked(brief)), section("Calls that were paid", bought(calls)), section("Checks", checks(v.documents.quality)), section("Words", script(v.documents.script)), section("Commands in its time", h("ul", { class: "rows" }, v.commands.map((one) => h("li", {}, h("span", {}, `${one.verb} by ${one.by}`), h("span", { class: "quiet" }, `${one.reason} ${clock(one.at)}`))))));
}

function section(title, ...content) {
  const there = content.flat().filter(Boolean);
  return there.length && there.some((one) => one.childNodes?.length) ? h("details", { class: "card", open: title !== "Words" && title !== "Commands in its time" }, h("summary", {}, title), ...there) : "";
}

function retry(v) {
  const from = h("select", { name: "from" }, STAGES.map((name) => h("option", {}, name)));
  from.value = "render";
  return command("Make it again", v.topic, { type: "retry", video: v.video }, {
    yes: "Make it", more: [h("label", {}, h("span", {}, "From"), from), h("label", { class: "check" }, h("input", { type: "checkbox", name: "fresh", value: "yes" }), h("span", {}, "buy anew what was bought for these stages"))],
  });
}

function timeline(v) {
  if (!v.attempts.length) return "";
  const begin = Math.min(...v.attempts.map((one) => +new Date(one.started_at)));
  const end = Math.max(...v.attempts.map((one) => +new Date(one.ended_at ?? Date.now())), begin + 1000);
  const rows = STAGES.filter((name) => v.attempts.some((one) => one.stage === name)).map((name) => h("div", { class: "lane" }, h("b", {}, name), h("div", { class: "track" },
    v.attempts.filter((one) => one.stage === name).map((one) => {
      const from = +new Date(one.started_at), to = +new Date(one.ended_at ?? Date.now());
      const took = span((to - from) / 1000);
      return h("i", { class: `attempt ${one.outcome}`, title: `attempt ${one.attempt}: ${one.outcome}, ${took}, by ${one.worker}${one.error ? `\n${one.error}` : ""}`, style: { left: `${(100 * (from - begin)) / (end - begin)}%`, width: `${Math.max(0.6, (100 * (to - from)) / (end - begin))}%` } }, h("span", {}, took));
    }))));
  const wrong = v.attempts.filter((one) => one.error);
  return h("section", { class: "card" }, h("h2", {}, `Attempts, ${span((end - begin) / 1000)}`), ...rows,
    wrong.length ? h("ul", { class: "rows" }, wrong.map((one) => h("li", {}, h("span", { class: "warn" }, `${one.stage} ${one.attempt} ${one.outcome}`), h("span", { class: "quiet" }, one.error)))) : "");
}

function asked(brief) {
  const rows = [["style", brief.style], ["voice", brief.voice], ["shape", brief.aspect], ["length", `${brief.length_s} s`], ...Object.entries(brief.extra ?? {})];
  return [h("dl", {}, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))])), brief.notes ? h("pre", { class: "notes" }, brief.notes) : ""];
}

function bought(calls) {
  if (!calls.length) return h("p", { class: "quiet" }, "Nothing was bought for it.");
  const sum = calls.reduce((total, one) => total + Number(one.billed_usd ?? (one.state === "released" ? 0 : one.amount_usd)), 0);
  return [h("table", {}, h("thead", {}, h("tr", {}, ["at", "stage", "service", "state", "at most", "billed"].map((name) => h("th", {}, name)))),
    h("tbody", {}, calls.map((one) => h("tr", {}, h("td", {}, clock(one.reserved_at)), h("td", {}, `${one.stage} ${one.attempt}`), h("td", {}, `${one.service} ${one.model}`), h("td", { class: one.state === "unknown" ? "warn" : "" }, one.state + (one.second_purchase ? ", second purchase" : "")), h("td", {}, cents(one.amount_usd)), h("td", {}, one.billed_usd === null ? "–" : cents(one.billed_usd)))))), h("p", {}, `together ${cents(sum)}`)];
}

function checks(verdict) {
  if (!verdict) return "";
  return h("table", {}, h("tbody", {}, verdict.findings.map((one) => h("tr", {}, h("td", {}, h("i", { class: `dot ${one.passed ? "good" : "bad"}` }), one.check), h("td", {}, one.measured), h("td", { class: "quiet" }, one.allowed)))));
}

function script(told) {
  if (!told) return "";
  return h("div", {}, h("p", {}, h("strong", {}, told.title)), told.scenes.map((scene) => [scene.heading && h("h3", {}, scene.heading), h("p", {}, scene.narration)]));
}
