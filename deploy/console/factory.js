// The factory at this moment: flow, what is in hand, the queue, money against its caps, guardians, cards.

import { h, fill, usd, cents, span, since, bar, words, clock } from "./dom.js";

const ORDER = ["script", "media", "audio", "render", "quality"];

export function factory(main) {
  const at = (name, title, extra = "") => {
    const body = h("div", { class: "body" }, h("p", { class: "empty" }, "…"));
    main.append(h("section", { class: `card ${name} ${extra}`, "aria-label": title }, h("h2", {}, title), body));
    return body;
  };
  const places = {
    flow: at("flow", "Flow", "wide"), hand: at("hand", "In hand", "two"), money: at("money", "Money today"),
    queue: at("queue", "Queue"), recent: at("recent", "Latest"), guardians: at("guardians", "Guardians"),
    figures: at("figures", "Key figures", "two"), gpu: at("gpu", "Graphics cards"),
  };
  return {
    overview(seen) {
      fill(places.flow, flow(seen));
      fill(places.hand, seen.in_hand.length ? seen.in_hand.map(inHand) : h("p", { class: "empty" }, "Nothing is in hand."));
      fill(places.money, money(seen.money));
      fill(places.queue, queue(seen));
      fill(places.recent, seen.recent.length ? h("ul", { class: "rows" }, seen.recent.map(row)) : h("p", { class: "empty" }, "No video yet: press n."));
    },
    processes(heard) {
      fill(places.guardians, guardians(heard));
      fill(places.figures, figures(heard.figures));
      fill(places.gpu, cards(heard));
    },
  };
}

function flow(seen) {
  const of = Object.fromEntries(seen.stages.map((load) => [load.stage, load]));
  const box = (name) => {
    const load = of[name];
    return h("div", { class: `stage ${load.running ? "busy" : ""} ${load.retrying ? "late" : ""}` }, h("b", {}, name),
      h("span", { class: "count" }, String(load.running)), h("small", {}, [load.waiting && `${load.waiting} waiting`, load.retrying && `${load.retrying} to be retried`].filter(Boolean).join(", ") || "running"));
  };
  const end = (name, count, kind) => h("a", { class: `stage end ${kind}`, href: `#/videos?status=${name}` }, h("b", {}, name), h("span", { class: "count" }, String(count ?? 0)), h("small", {}, "videos"));
  const arrow = () => h("span", { class: "arrow", "aria-hidden": "true" }, "→");
  return h("div", { class: "line" },
    end("waiting", seen.videos.waiting, ""), arrow(), end("queued", seen.videos.queued, ""), arrow(), box("script"), arrow(),
    h("div", { class: "both" }, box("media"), box("audio")), arrow(), box("render"), arrow(), box("quality"), arrow(),
    h("div", { class: "both" }, end("completed", seen.videos.completed, "good"), end("failed", seen.videos.failed, seen.videos.failed ? "bad" : "")));
}

function inHand(video) {
  const chips = ORDER.filter((name) => video.stages[name]).map((name) => {
    const stage = video.stages[name];
    const text = stage.status === "running" ? `${name} ${Math.round(stage.progress * 100)}%` : stage.attempt > 1 ? `${name} · try ${stage.attempt}` : name;
    return h("span", { class: `chip ${stage.status}` }, text);
  });
  const done = ORDER.reduce((sum, name) => sum + (video.stages[name]?.status === "done" ? 1 : video.stages[name]?.progress ?? 0), 0);
  return h("a", { class: "video", href: `#/video/${video.video}` },
    h("div", { class: "row" }, h("strong", {}, video.topic), h("span", { class: "quiet" }, `${cents(video.spent_usd)} · ${since(video.since ?? video.created_at)}`)),
    bar(done / ORDER.length, "", `${video.topic}: how far`), h("div", { class: "chips" }, chips));
}

function money(m) {
  const spent = Number(m.day_spent), all = spent + Number(m.day_reserved), cap = Number(m.day_budget);
  const level = (part) => (part >= 0.9 ? "bad" : part >= 0.7 ? "warn" : "");
  return [
    h("div", { class: "big" }, usd(spent), h("small", {}, ` of ${usd(cap)}`)), bar(all / cap, level(all / cap), "the day's budget"),
    h("dl", {}, h("dt", {}, "under way"), h("dd", {}, usd(m.day_reserved)), h("dt", {}, "last hour"), h("dd", {}, `${usd(m.hour_spent)} of ${usd(m.hour_budget)}`),
      h("dt", {}, "a video at most"), h("dd", {}, usd(m.video_budget)),
      h("dt", {}, "unknown outcome"), h("dd", { class: m.unknown_calls ? "warn" : "" }, m.unknown_calls ? `${m.unknown_calls} calls, ${usd(m.unknown)} today` : "none"),
      h("dt", {}, "second purchases"), h("dd", { class: m.second_purchases ? "warn" : "" }, String(m.second_purchases))),
  ];
}

function queue(seen) {
  if (!seen.queue.length) return h("p", { class: "empty" }, "The queue is empty.");
  const more = (seen.videos.queued ?? 0) + (seen.videos.waiting ?? 0) - seen.queue.length;
  return [h("ol", { class: "rows" }, seen.queue.map((video) => h("li", {}, h("a", { href: `#/video/${video.video}` }, video.topic), h("span", { class: "quiet" }, `priority ${video.priority}`)))),
    more > 0 && h("p", { class: "quiet" }, `and ${more} more`)];
}

export function row(video) {
  return h("li", {}, h("a", { href: `#/video/${video.video}` }, video.topic),
    h("span", { class: `chip ${video.status}`, title: video.reason || "" }, video.status), h("span", { class: "quiet" }, clock(video.ended_at ?? video.created_at)));
}

function guardians(heard) {
  const away = Object.entries(heard.processes).filter(([, there]) => !there).map(([name]) => name);
  return [
    h("ul", { class: "rows" }, heard.guardians.map((guardian) => {
      const silent = !guardian.answers || guardian.looked_s_ago === null || guardian.looked_s_ago > 30;
      const limits = heard.limits.filter((limit) => limit.guardian === guardian.name).map((limit) => `${words(limit.figure)} ${limit.level} ${limit.limit}`).join("\n");
      return h("li", { title: limits }, h("span", {}, h("i", { class: `dot ${silent ? "bad" : "good"}` }), guardian.name), h("span", { class: "quiet" }, guardian.answers ? (guardian.looked_s_ago === null ? "has not looked yet" : silent ? `silent for ${span(guardian.looked_s_ago)}` : "looking") : "not here"));
    })),
    away.length ? h("p", { class: "warn" }, `not answering: ${away.join(", ")}`) : h("p", { class: "quiet" }, `${Object.keys(heard.processes).length} processes answer`),
  ];
}

const UNIT = { queue_depth: "", processing_time: " s", error_rate: "%", disk_usage: "%", api_response: " s", oldest_event: " s" };

function figures(rows) {
  return h("table", {}, h("thead", {}, h("tr", {}, ["figure", "now", "warning", "critical"].map((name) => h("th", {}, name)))),
    h("tbody", {}, rows.map((one) => {
      const unit = UNIT[one.figure] ?? "";
      const said = (value) => (value === null ? "–" : `${Number(value.toPrecision(3))}${unit}`);
      return h("tr", {}, h("td", {}, words(one.figure)), h("td", { class: { normal: "good", warning: "warn", critical: "bad" }[one.level] ?? "quiet" }, one.value === null ? "unknown" : said(one.value)), h("td", {}, said(one.warning)), h("td", {}, said(one.critical)));
    })));
}

function cards(heard) {
  if (!heard.cards.length) return h("p", { class: "empty" }, heard.processes.gpu ? "No NVIDIA card answers: films are made on the CPU." : "The gpu guardian does not answer.");
  return heard.cards.map((card) => h("div", {}, h("strong", {}, `card ${card.card}`),
    bar(card.used_mb / card.total_mb, card.used_mb / card.total_mb > 0.93 ? "bad" : "", "memory"),
    h("p", { class: "quiet" }, `${Math.round(card.used_mb)} of ${Math.round(card.total_mb)} MiB, ${card.utilization_percent ?? "?"}% busy, ${card.temperature_celsius ?? "?"} °C`)));
}
