// Starts the page: who is there, a token where the server asks for one, the canvas.
import * as api from "./api";
import { ScanCanvas } from "./canvas";
import { ask, say } from "./dialogs";
import { byId, make } from "./dom";
import { Page } from "./page";

const USER = "medseg-review-user";

async function start(): Promise<void> {
  restoreUser();
  const info = await login();
  document.title = `Review: ${info.name}`;
  byId("title").textContent = info.name;
  const page = new Page(info, new ScanCanvas(byId<HTMLCanvasElement>("scan")));
  await page.begin();
}

function restoreUser(): void {
  const input = byId<HTMLInputElement>("user");
  input.value = localStorage.getItem(USER) ?? "";
  api.setUser(input.value.trim());
  input.addEventListener("change", () => {
    localStorage.setItem(USER, input.value.trim());
    location.reload(); // drafts belong to people: another name sees its own
  });
}

/** The server's description of itself, after a token where it asks for one. */
async function login(): Promise<api.Info> {
  for (;;) {
    try {
      return await api.info();
    } catch (error) {
      if (!(error instanceof api.ApiError) || error.status !== 401) throw error;
      const token = make("input", { type: "password", "aria-label": "Token", autocomplete: "current-password" }) as HTMLInputElement;
      await ask("Token of this server", make("label", {}, "Token", token), [{ text: "Enter", value: true }]);
      if (token.value) await api.login(token.value).catch((refused: Error) => say(refused.message));
    }
  }
}

start().catch((error: unknown) => say(error instanceof Error ? `The page cannot start: ${error.message}` : String(error)));
