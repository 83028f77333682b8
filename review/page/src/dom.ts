// Small helpers for the page's own elements. Text is always set as text: nothing that comes from a scan is HTML.

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no element ${id}`);
  return element as T;
}

type Child = Node | string | null;

export function make(tag: string, attributes: Record<string, string> = {}, ...children: Child[]): HTMLElement {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child): child is Node | string => child !== null));
  return element;
}

export function button(text: string, act: () => void, attributes: Record<string, string> = {}): HTMLButtonElement {
  const element = make("button", { type: "button", ...attributes }, text) as HTMLButtonElement;
  element.addEventListener("click", act);
  return element;
}

export function option(value: string, text: string): HTMLOptionElement {
  return make("option", { value }, text) as HTMLOptionElement;
}

/** Rows of text under a heading row. */
export function table(headings: string[], rows: string[][]): HTMLElement {
  const head = make("tr", {}, ...headings.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map((row) => make("tr", {}, ...row.map((text) => make("td", {}, text))));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
}
