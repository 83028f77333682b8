// One table of keys: what is pressed, what it does, and the help.
import { isDialogOpen } from "./dialogs";
import { make, table } from "./dom";

export interface Key {
  /** As pressed: "b", "Shift+N", "Ctrl+z"; several ways to press it. */
  press: string[];
  help: string;
  act: () => void;
  /** On letting go. */
  release?: () => void;
}

function nameOf(event: KeyboardEvent): string {
  const parts = [event.ctrlKey || event.metaKey ? "Ctrl" : "", event.altKey ? "Alt" : ""].filter(Boolean);
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.shiftKey && (event.key.length > 1 || key !== key.toUpperCase())) parts.push("Shift");
  return [...parts, key].join("+");
}

function isTyping(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return target.type !== "checkbox" && target.type !== "range";
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

/** Listens before everything else, so NiiVue's own keys never act beside the page's. */
export function listen(keys: Key[]): void {
  const byName = new Map(keys.flatMap((key) => key.press.map((press) => [press, key] as const)));
  const held = new Map<string, Key>();
  window.addEventListener(
    "keydown",
    (event) => {
      if (isDialogOpen() || isTyping(event)) return;
      if (event.target instanceof HTMLCanvasElement && event.key !== "Tab") event.stopPropagation();
      if (event.target instanceof HTMLElement && event.target.closest("[role=listbox]") && /^(Arrow|Home|End|Enter| )/.test(event.key)) return;
      if (event.target instanceof HTMLButtonElement && (event.key === "Enter" || event.key === " ") && !event.ctrlKey) return;
      if (event.target instanceof HTMLInputElement && /^Arrow| /.test(event.key)) return;
      const key = byName.get(nameOf(event));
      if (!key) return;
      event.preventDefault();
      if (key.release && event.repeat) return;
      if (key.release) held.set(event.code, key);
      key.act();
    },
    true,
  );
  window.addEventListener(
    "keyup",
    (event) => {
      if (event.target instanceof HTMLCanvasElement) event.stopPropagation();
      held.get(event.code)?.release?.();
      held.delete(event.code);
    },
    true,
  );
}

export function help(keys: Key[]): HTMLElement {
  const body = table(["Key", "What it does"], keys.map(() => ["", ""]));
  body.querySelectorAll("tbody tr").forEach((row, n) => {
    const { press, help } = keys[n]!;
    row.children[0]!.append(...press.flatMap((name, i) => [i > 0 ? " " : "", make("kbd", {}, name)]));
    row.children[1]!.textContent = help;
  });
  return body;
}
