// Elements and words: how a thing is made and how a figure is said. Text is always set as text, never as HTML.

export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else if (name === "class") element.className = value;
    else if (name in element && name !== "list" && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Replaces what an element holds only where it would differ, so that nothing flickers and no focus is lost.
export function fill(element, ...children) {
  const fresh = h("div", {}, ...children);
  if (element.innerHTML !== fresh.innerHTML) element.replaceChildren(...fresh.childNodes);
}

export const usd = (amount) => `$${Number(amount).toFixed(2)}`;
export const cents = (amount) => (Number(amount) >= 1 || Number(amount) === 0 ? usd(amount) : `$${Number(amount).toFixed(4)}`);
export const clock = (at) => (at ? new Date(at).toLocaleTimeString([], { hour12: false }) : "");
export const day = (at) => (at ? new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short", hour12: false }) : "");

export function span(seconds) {
  if (seconds === null || seconds === undefined) return "unknown";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export const since = (at) => span(Math.max(0, (Date.now() - new Date(at)) / 1000));
export const words = (name) => name.replaceAll("_", " ");

export function bar(part, kind = "", label = "") {
  const share = Math.max(0, Math.min(1, part || 0));
  return h("div", { class: `bar ${kind}`, role: "progressbar", "aria-valuenow": String(Math.round(share * 100)), "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": label },
    h("i", { style: { width: `${(share * 100).toFixed(1)}%` } }));
}

export function toast(text, kind = "") {
  const shown = h("div", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(shown);
  setTimeout(() => shown.remove(), kind === "bad" ? 12000 : 6000);
}
