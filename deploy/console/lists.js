// The three lists: videos with a search, dead letters with requeue, and the log of what happens.

import { h, fill, day, clock, toast } from "./dom.js";
import { ask } from "./api.js";

export function videos(main, query) {
  const asked = new URLSearchParams(query);
  const list = h("div", {});
  const search = h("input", { type: "search", id: "search", placeholder: "words of the topic ( / )", value: asked.get("topic") ?? "", "aria-label": "Search by topic" });
  const status = h("select", { "aria-label": "Status" }, ["", "waiting", "queued", "processing", "completed", "failed", "cancelled"].map((name) => h("option", { value: name }, name || "all")));
  status.value = asked.get("status") ?? "";
  main.append(h("section", { class: "card wide" }, h("div", { class: "row" }, h("h2", {}, "Videos"), search, status), list));
  let timer;
  const load = async () => {
    try {
      const rows = await ask(`/videos?${new URLSearchParams({ status: status.value, topic: search.value, limit: "200" })}`);
      fill(list, rows.length ? h("table", { class: "videos" }, h("thead", {}, h("tr", {}, ["topic", "status", "priority", "accepted", "why"].map((name) => h("th", {}, name)))),
        h("tbody", {}, rows.map((video) => h("tr", {}, h("td", {}, h("a", { href: `#/video/${video.video}` }, video.topic)), h("td", {}, h("span", { class: `chip ${video.status}` }, video.status)), h("td", {}, String(video.priority)), h("td", { class: "quiet" }, day(video.created_at)), h("td", { class: "quiet" }, video.reason))))) : h("p", { class: "empty" }, "None."));
    } catch (refused) {
      fill(list, h("p", { class: "error" }, refused.message));
    }
  };
  const soon = () => { clearTimeout(timer); timer = setTimeout(load, 150); };
  search.addEventListener("input", soon);
  status.addEventListener("change", load);
  load();
  return { event: (happened) => happened.stream !== "stream:notices" && soon() };
}

export function dead(main) {
  const list = h("div", {});
  main.append(h("section", { class: "card wide" }, h("h2", {}, "Dead letters"), h("p", { class: "quiet" }, "What a group gave up on, its fields intact. Requeue puts it back to work, once."), list));
  const load = async () => {
    const letters = await ask("/dead");
    fill(list, letters.length ? "" : h("p", { class: "empty" }, "There are no dead letters."));
    for (const letter of letters) {
      const put = async () => {
        try {
          toast(`${letter.id}: ${(await ask(`/dead/${letter.id}/requeue`, {})).outcome}`);
        } catch (refused) {
          toast(refused.message, "bad");
        }
        load();
      };
      list.append(h("details", { class: "letter" }, h("summary", {}, h("span", {}, h("b", {}, letter.group || "?"), ` ${letter.error}`, letter.video && h("span", { class: "quiet" }, ` · ${letter.video} · ${day(Number(letter.id.split("-")[0]))}`)), letter.requeued ? h("span", { class: "chip" }, "put back") : h("button", { onclick: (event) => { event.preventDefault(); put(); } }, "Requeue")),
        letter.hint && h("p", {}, letter.hint), h("dl", {}, Object.entries(letter.fields).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))));
    }
  };
  load().catch((refused) => fill(list, h("p", { class: "error" }, refused.message)));
  return { event: (happened) => happened.stream === "stream:dead" && load() };
}

const KEPT = 500;

export function log(main, past) {
  const list = h("ol", { class: "log" });
  main.append(h("section", { class: "card wide" }, h("h2", {}, "Log"), h("p", { class: "quiet" }, "Every event of every stream since this page was opened; the newest first."), list));
  const add = (happened) => {
    const { type, at, by, video, reason, ...rest } = happened.fields;
    list.prepend(h("li", {}, h("time", {}, clock(at ?? Number(happened.id.split("-")[0]))), h("b", {}, happened.stream.replace("stream:", "")), h("span", {}, type ?? "request"), video ? h("a", { href: `#/video/${video}` }, video) : "", h("span", { class: "quiet" }, [by, reason ?? rest.error ?? rest.topic ?? ""].filter(Boolean).join(": "))));
    while (list.childElementCount > KEPT) list.lastChild.remove();
  };
  past.forEach(add);
  return { event: add };
}
