// The way to the gateway: every answer is JSON, every refusal an error in its words; a missing token is asked for once.

import { askToken } from "./control.js";

export class Refused extends Error {
  constructor(message, hint, status) {
    super(message);
    this.hint = hint;
    this.status = status;
  }
}

export async function ask(path, body, headers = {}) {
  let answer;
  try {
    answer = await fetch(path, body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) });
  } catch {
    throw new Refused("the gateway does not answer", "is the factory up?", 0);
  }
  if (answer.status === 401) {
    await askToken();
    return ask(path, body, headers);
  }
  const told = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(told.error || `the gateway answered ${answer.status}`, told.hint || "", answer.status);
  return told;
}
