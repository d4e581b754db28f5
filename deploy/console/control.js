// What changes something: each in a dialog with a reason and a confirmation, and what it did, in words.

import { h, toast } from "./dom.js";
import { ask } from "./api.js";

function dialog(title, body, { yes = "Do it", kind = "", accept }) {
  return new Promise((resolve) => {
    const error = h("p", { class: "error", role: "alert" });
    const button = h("button", { class: kind || "primary", type: "submit" }, yes);
    const form = h("form", { method: "dialog" }, h("h2", {}, title), ...body, error,
      h("div", { class: "row end" }, h("button", { type: "button", onclick: () => box.close() }, "Cancel"), button));
    const box = h("dialog", { "aria-label": title, onclose: () => { box.remove(); resolve(done); } }, form);
    let done = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      button.disabled = true;
      error.textContent = "";
      try {
        await accept(new FormData(form));
        done = true;
        box.close();
      } catch (refused) {
        error.textContent = refused.message + (refused.hint ? ` — ${refused.hint}` : "");
        button.disabled = false;
      }
    });
    document.body.append(box);
    box.showModal();
    form.querySelector("input, textarea, select")?.focus();
  });
}

const field = (label, input, note = "") => h("label", {}, h("span", {}, label), input, note && h("small", {}, note));

const SAYS = {
  halt: ["Halt the factory", "Everything stops at its next safe point, at once. Nothing is lost; what was in hand goes on after a resume.", "Halt now", "danger"],
  pause: ["Pause the factory", "What runs is finished; nothing new is taken.", "Pause", "primary"],
  resume: ["Resume", "Lifts all holds, those of guardians too, and acknowledges their causes.", "Resume", "primary"],
};

export function hold(verb) {
  const [title, does, yes, kind] = SAYS[verb];
  const path = { halt: "/pipeline/emergency/halt", pause: "/pipeline/pause", resume: "/pipeline/resume" }[verb];
  return dialog(title, [h("p", {}, does), field("Reason", h("input", { name: "reason", maxlength: "500", placeholder: "for whoever looks at it later" }))], {
    yes, kind,
    accept: async (form) => {
      const did = await ask(path, { reason: form.get("reason") });
      toast(`${verb}: the gate is ${did.gate ?? "told"}${did.note ? ` (${did.note})` : ""}`);
    },
  });
}

export function command(title, does, fields, { yes = "Do it", kind = "primary", more = [] } = {}) {
  return dialog(title, [h("p", {}, does), ...more, field("Reason", h("input", { name: "reason", maxlength: "500" }))], {
    yes, kind,
    accept: async (form) => {
      const did = await ask("/control", { ...fields, ...Object.fromEntries(form) });
      toast(did.did || did.note || "done");
    },
  });
}

export async function submit() {
  const styles = await ask("/styles").catch(() => ["default"]);
  if (document.querySelector("dialog")) return false;
  const key = crypto.randomUUID();  // a second click, or a lost answer, makes no second video
  return dialog("New video", [
    field("Topic", h("input", { name: "topic", required: true, maxlength: "300", placeholder: "Why octopuses have three hearts" })),
    field("Notes", h("textarea", { name: "notes", rows: "7", placeholder: "The text to build the narration from" }), "needed without a key for a language model, unless the topic is a bundled article"),
    h("div", { class: "row" },
      field("Shape", h("select", { name: "aspect" }, h("option", {}, "16:9"), h("option", {}, "9:16"))),
      field("Length", h("input", { name: "length", value: "60s", size: "6", pattern: "([0-9]+m)?([0-9]+s?)?" })),
      field("Style", h("select", { name: "style" }, ["default", ...styles.filter((name) => name !== "default")].map((name) => h("option", {}, name)))),
      field("Priority", h("input", { name: "priority", type: "number", min: "0", max: "9", value: "5" }))),
  ], {
    yes: "Make it",
    accept: async (form) => {
      const fields = Object.fromEntries([...form].filter(([, value]) => value !== ""));
      const made = await ask("/videos", fields, { "Idempotency-Key": key });
      toast(`${made.video}, place ${made.place}`);
      location.hash = `#/video/${made.video}`;
    },
  });
}

let asking = null;
export function askToken() {
  asking ??= dialog("Token", [h("p", {}, "This gateway serves other machines with a token only (YTEMPIRE_GATEWAY_TOKEN)."),
    field("Token", h("input", { name: "token", type: "password", autocomplete: "current-password" }))], {
    yes: "Go in",
    accept: async (form) => {
      const answer = await fetch("/session", { method: "POST", body: JSON.stringify({ token: form.get("token") }) });
      if (!answer.ok) throw new Error("the token is wrong");
    },
  }).then((done) => {
    asking = null;
    if (!done) throw new Error("no token was given");
  });
  return asking;
}

export function keys() {
  const rows = [["n", "new video"], ["h", "halt"], ["p", "pause"], ["r", "resume"], ["1 2 3 4", "factory, videos, dead letters, log"], ["/", "search videos"], ["t", "dark or light"], ["Esc", "close a dialog"]];
  return dialog("Keys", [h("dl", { class: "keys" }, rows.map(([key, does]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, does)]))], { yes: "Good", accept: async () => {} });
}
