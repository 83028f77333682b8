// The one dialog of the page, and the line of messages over the scan.
import { button, byId, make } from "./dom";

export interface Choice<T> {
  text: string;
  value: T;
  kind?: "good" | "bad";
}

/** Shows a dialog and resolves with what was chosen; null where it was closed (Escape). */
export function ask<T>(title: string, body: HTMLElement, choices: Choice<T>[]): Promise<T | null> {
  const dialog = byId<HTMLDialogElement>("dialog");
  if (dialog.open) dialog.close();
  byId("dialog-title").textContent = title;
  byId("dialog-body").replaceChildren(body);
  return new Promise((resolve) => {
    let result: T | null = null;
    const buttons = choices.map((choice) =>
      button(choice.text, () => ((result = choice.value), dialog.close()), choice.kind ? { class: choice.kind } : {}),
    );
    byId("dialog-buttons").replaceChildren(...buttons, button("Close", () => dialog.close()));
    dialog.addEventListener("close", () => resolve(result), { once: true });
    dialog.showModal();
  });
}

/** Asks for a reason: one of the server's and free text. Null where it was closed. */
export async function askReason(title: string, reasons: string[], send: string, note = ""): Promise<string | null> {
  const choice = make("select", { id: "reason", "aria-label": "Reason" }) as HTMLSelectElement;
  for (const reason of reasons) choice.append(make("option", {}, reason));
  const text = make("textarea", { id: "reason-text", "aria-label": "More words", placeholder: "more words (optional)" }) as HTMLTextAreaElement;
  const body = make("div", {}, note ? make("p", {}, note) : null, make("label", {}, "Reason", choice), text);
  const sent = await ask(title, body, [{ text: send, value: true }]);
  if (!sent) return null;
  return [choice.value, text.value.trim()].filter(Boolean).join(": ");
}

export function isDialogOpen(): boolean {
  return byId<HTMLDialogElement>("dialog").open;
}

/** A line over the scan, with buttons; it stays until the next one or until it is closed. */
export function say(text: string, kind: "error" | "note" = "error", actions: [string, () => void][] = []): void {
  const message = byId("message");
  message.dataset.kind = kind;
  const close = (): void => void (message.hidden = true);
  const buttons = actions.map(([label, act]) => button(label, () => (close(), act())));
  message.replaceChildren(make("span", {}, text), ...buttons, button("×", close, { "aria-label": "Close message" }));
  message.hidden = false;
}

export function quiet(): void {
  byId("message").hidden = true;
}
